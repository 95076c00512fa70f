import ipaddr from "ipaddr.js";

/** A parsed address; IPv4-mapped IPv6 has become IPv4. */
export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** The longest text of an IPv6 address, with some room for a zone. */
const LONGEST_TEXT = 100;

/**
 * Parses the text of one address.
 *
 * Only the forms that network stacks write are read: four decimal parts, or IPv6 with an optional
 * zone, which is dropped. The octal, hexadecimal and shortened IPv4 forms are not, because two
 * readers that disagree about an address are a way around a rule (`0177.1` is 127.0.0.1 to some).
 */
export function parseAddress(text: string): Address | undefined {
  if (text.length > LONGEST_TEXT) return undefined;
  if (!text.includes(":")) return ipaddr.IPv4.isValidFourPartDecimal(text) ? ipaddr.IPv4.parse(text) : undefined;
  const zone = text.indexOf("%");
  const plain = zone === -1 ? text : text.slice(0, zone);
  if (!ipaddr.IPv6.isValid(plain)) return undefined;
  return withoutMapping(ipaddr.IPv6.parse(plain));
}

/** `::ffff:192.0.2.1` is 192.0.2.1: a dual-stack socket writes it so (RFC 4291 section 2.5.5.2). */
export function withoutMapping(address: Address): Address {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/** Canonical lower-case text (RFC 5952). */
export function addressText(address: Address): string {
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}
