import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { ClientAddressResolver } from "./client-address.js";
import { ClientKeys, clientKey } from "./key.js";

describe("ClientAddressResolver", () => {
  it.each([
    ["203.0.113.9", "203.0.113.9"],
    ["::ffff:203.0.113.9", "203.0.113.9"],
    ["::FFFF:CB00:7109", "203.0.113.9"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["fe80::1%eth0", "fe80::1"],
    ["fe80::1%25lo", "fe80::1"],
    [undefined, "unknown"],
    ["", "unknown"],
    ["/var/run/app.sock", "unknown"],
    ["0x7f.1", "unknown"],
    ["1.2.3.04", "unknown"],
    ["1.2.3", "unknown"],
    ["1.2.3.4.5", "unknown"],
    ["1..2.3", "unknown"],
    ["1.2.3.256", "unknown"],
    ["1.2.3.4 ", "unknown"],
  ])("writes the peer %j as %s", (peer, expected) => {
    expect(new ClientAddressResolver().resolve(peer, "9.9.9.9")).toBe(expected);
  });

  it.each([
    ["one proxy names the client", "203.0.113.9", "203.0.113.9"],
    ["what the client wrote itself is not reached", "1.2.3.4, 203.0.113.9", "203.0.113.9"],
    ["trusted hops are passed", "203.0.113.9, 10.0.0.2, 10.0.0.3", "203.0.113.9"],
    ["a client that forges a trusted address gains nothing", "1.1.1.1, 10.0.0.1, 203.0.113.9", "203.0.113.9"],
    ["all trusted: the leftmost", "10.0.0.5, 10.0.0.6", "10.0.0.5"],
    ["ports are dropped", "203.0.113.9:4711", "203.0.113.9"],
    ["brackets are dropped", "[2001:db8::1]", "2001:db8::1"],
    ["brackets and port are dropped", "[2001:db8::1]:443", "2001:db8::1"],
    ["bare IPv6 keeps its last group", "2001:db8::1:443", "2001:db8::1:443"],
    ["mapped addresses are IPv4", "::ffff:203.0.113.9", "203.0.113.9"],
    ["zones are dropped", "fe80::7%eth1", "fe80::7"],
    ["garbage stops at the last speaker", "203.0.113.9, garbage, 10.0.0.2", "10.0.0.2"],
    ["garbage at the right end: the peer", "203.0.113.9, <script>", "10.0.0.1"],
    ["empty header: the peer", "", "10.0.0.1"],
    ["trailing comma stops", "203.0.113.9,", "10.0.0.1"],
    ["leading comma is not reached", ",203.0.113.9", "203.0.113.9"],
    ["'unknown' stops", "unknown", "10.0.0.1"],
    ["odd ports stop", "203.0.113.9:port", "10.0.0.1"],
    ["open bracket stops", "[2001:db8::1", "10.0.0.1"],
    ["junk behind a bracket stops", "[2001:db8::1]x", "10.0.0.1"],
    ["octal stops", "0177.0.0.1", "10.0.0.1"],
    ["decimal stops", "2130706433", "10.0.0.1"],
    ["line breaks stop", "203.0.113.9\r\nX: y", "10.0.0.1"],
  ])("%s", (_, forwardedFor, expected) => {
    expect(new ClientAddressResolver("10.0.0.0/8").resolve("10.0.0.1", forwardedFor)).toBe(expected);
  });

  it("does not read the header of a peer that is not trusted", () => {
    expect(new ClientAddressResolver("10.0.0.0/8").resolve("11.0.0.1", "203.0.113.9")).toBe("11.0.0.1");
    expect(new ClientAddressResolver().resolve("10.0.0.1", "203.0.113.9")).toBe("10.0.0.1");
    expect(new ClientAddressResolver("10.0.0.0/8").resolve(undefined, "203.0.113.9")).toBe("unknown");
  });

  it("reads a bounded number of hops", () => {
    const header = `203.0.113.9, ${"10.0.0.2, ".repeat(20_000)}10.0.0.3`;
    expect(new ClientAddressResolver("10.0.0.0/8").resolve("10.0.0.1", header)).toBe("10.0.0.2");
    expect(new ClientAddressResolver("10.0.0.0/8").resolve("10.0.0.1", `${"x".repeat(1_000_000)}`)).toBe("10.0.0.1");
  });

  it("never names an address left of the first untrusted one, whatever a client sends", () => {
    const resolver = new ClientAddressResolver("10.0.0.0/8");
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), fc.ipV4(), (sent, client) => {
        fc.pre(!client.startsWith("10."));
        return resolver.resolve("10.0.0.1", `${sent},${client}`) === client;
      }),
      runs(500),
    );
  });

  it("says the same for a peer that it remembers, across more peers than it keeps", () => {
    const resolver = new ClientAddressResolver("10.0.0.0/8");
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 3000; index++) {
        const peer = `::ffff:10.0.${index >> 8}.${index & 255}`;
        expect(resolver.isTrusted(peer)).toBe(true);
        expect(resolver.resolve(peer, undefined)).toBe(peer.slice(7));
      }
    }
  });
});

describe("clientKey", () => {
  it.each([
    ["203.0.113.9", 64, "203.0.113.9"],
    ["unknown", 64, "unknown"],
    ["not:an:address", 64, "not:an:address"],
    ["2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", 64, "2001:db8:1:2::/64"],
    ["2001:db8:1:2ff::1", 56, "2001:db8:1:200::/56"],
    ["2001:db8:ffff::1", 36, "2001:db8:f000::/36"],
    ["2001:db8::1", 128, "2001:db8::1/128"],
    ["::1", 64, "::/64"],
    ["::ffff:1.2.3.4", 64, "1.2.3.4"],
  ])("counts %s by /%i as %s", (ip, prefix, expected) => {
    expect(clientKey(ip, prefix)).toBe(expected);
    const keys = new ClientKeys(prefix);
    expect([keys.of(ip), keys.of(ip)]).toEqual([expected, expected]);
  });
});
