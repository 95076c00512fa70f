import { describe, expect, it } from "vitest";
import { ConfigError } from "../core/errors.js";
import { ClientAddressResolver } from "./client-address.js";
import { parseTrustProxy } from "./trust-proxy.js";

describe("parseTrustProxy", () => {
  it.each([
    [true],
    [1],
    [0],
    [null],
    [() => true],
    [{}],
    [""],
    [[]],
    [[""]],
    [[1]],
    [[true]],
    ["everybody"],
    ["toString"],
    ["Loopback"],
    ["10.0.0.0/33"],
    ["10.0.0.0/08"],
    ["10.0.0.0/-1"],
    ["10.0.0.0/"],
    ["10.0.0.0/8/8"],
    ["10.0.0"],
    ["10.0.0.256"],
    ["010.0.0.1"],
    ["0x7f.0.0.1"],
    ["::1/129"],
    ["::ffff:10.0.0.0/95"],
    ["0.0.0.0/0"],
    ["::/0"],
    ["::ffff:0.0.0.0/96"],
    ["localhost"],
    ["10.0.0.1,"],
    [["10.0.0.1", "proxy.example"]],
  ])("refuses %j and says that it must name who may speak for the client", (given) => {
    let error: unknown;
    try {
      parseTrustProxy(given);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ subject: "App", field: "trustProxy" });
    expect(String(error)).toMatch(/name the proxies/);
  });

  it("trusts nobody when it is false or not given", () => {
    expect(parseTrustProxy(false)).toEqual([]);
    expect(parseTrustProxy(undefined)).toEqual([]);
  });

  it.each([
    ["loopback", "127.5.5.5", true],
    ["loopback", "::1", true],
    ["loopback", "128.0.0.1", false],
    ["linklocal", "169.254.1.1", true],
    ["linklocal", "fe80::1%eth0", true],
    ["uniquelocal", "192.168.3.4", true],
    ["uniquelocal", "172.32.0.1", false],
    ["uniquelocal", "fd00::1", true],
    ["10.0.0.1", "10.0.0.1", true],
    ["10.0.0.1", "10.0.0.2", false],
    ["10.0.0.0/8, 192.0.2.1", "192.0.2.1", true],
    ["10.1.2.3/8", "10.9.9.9", true],
    ["::ffff:10.0.0.0/104", "10.9.9.9", true],
    ["10.0.0.0/8", "::ffff:10.1.1.1", true],
    ["2001:db8::/32", "2001:DB8:0:0::7", true],
    ["2001:db8::/32", "2001:db9::7", false],
  ])("with %j the peer %s is trusted: %s", (given, peer, expected) => {
    expect(new ClientAddressResolver(given).isTrusted(peer)).toBe(expected);
  });
});
