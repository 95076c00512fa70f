import ipaddr from "ipaddr.js";
import { ipv6Text, isIpv4, readIpv6 } from "./address-digits.js";

/** A parsed address; IPv4-mapped IPv6 has become IPv4. */
export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** The longest text of an IPv6 address, with some room for a zone. */
const LONGEST_TEXT = 100;
const MAPPED_PREFIX = "::ffff:";

/**
 * Parses the text of one address.
 *
 * Only the forms that network stacks write are read: four decimal parts, or IPv6 with an optional
 * zone, which is dropped. The octal, hexadecimal and shortened IPv4 forms are not, because two
 * readers that disagree about an address are a way around a rule (`0177.1` is 127.0.0.1 to some).
 */
export function parseAddress(text: string): Address | undefined {
  if (text.length > LONGEST_TEXT) return undefined;
  const last = text.startsWith(MAPPED_PREFIX) ? text.slice(MAPPED_PREFIX.length) : text;
  if (isIpv4(last)) return new ipaddr.IPv4(last.split(".").map(Number));
  if (!text.includes(":")) return undefined;
  const zone = text.indexOf("%");
  const plain = zone === -1 ? text : text.slice(0, zone);
  const groups = readIpv6(plain) ?? readOtherForms(plain);
  return groups && addressOf(groups);
}

function readOtherForms(text: string): readonly number[] | undefined {
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text).parts : undefined;
}

/** `::ffff:192.0.2.1` is 192.0.2.1: a dual-stack socket writes it so (RFC 4291 section 2.5.5.2). */
function addressOf(groups: readonly number[]): Address {
  const [a, b, c, d, e, mark, high = 0, low = 0] = groups;
  const isMapped = a === 0 && b === 0 && c === 0 && d === 0 && e === 0 && mark === 0xffff;
  return isMapped ? new ipaddr.IPv4([high >> 8, high & 255, low >> 8, low & 255]) : new ipaddr.IPv6([...groups]);
}

/** Canonical lower-case text (RFC 5952). */
export function addressText(address: Address): string {
  return address instanceof ipaddr.IPv6 ? ipv6Text(address.parts) : address.toString();
}
