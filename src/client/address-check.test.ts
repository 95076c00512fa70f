import { describe, expect, it } from "vitest";
import { EventHub } from "../core/events.js";
import type { RequestView } from "../core/request-view.js";
import { AddressCheck } from "./address-check.js";
import { ClientAddressResolver } from "./client-address.js";

function setUp() {
  const events = new EventHub();
  const codes: string[] = [];
  events.on("config.warning", ({ code }) => codes.push(code));
  const trustProxy = ["10.0.0.0/8"];
  const check = new AddressCheck(new ClientAddressResolver(trustProxy), events, trustProxy);
  const ask = (peerAddress: string, headers: Readonly<Record<string, string>>) => {
    const view: Partial<RequestView> = { peerAddress, clientIp: peerAddress, header: (name) => headers[name] };
    check.look(Object(view));
  };
  return { codes, ask };
}

describe("a client outside trustProxy that names another", () => {
  const forged = { "x-forwarded-for": "198.51.100.7" };

  it("is no proxy that was forgotten, where one that is trusted was met", () => {
    const { codes, ask } = setUp();
    for (let sent = 0; sent < 20; sent++) ask("203.0.113.9", forged);
    ask("10.0.0.1", { "x-forwarded-for": "203.0.113.8" });
    for (let sent = 0; sent < 1000; sent++) ask("203.0.113.9", forged);
    expect(codes).toEqual([]);
  });

  it("may be one, where none was", () => {
    const { codes, ask } = setUp();
    for (let sent = 0; sent < 1000; sent++) ask("172.17.0.1", forged);
    expect(codes).toEqual(["CELLO_UNTRUSTED_PROXY"]);
  });
});
