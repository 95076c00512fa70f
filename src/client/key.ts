import { addressText, isIpv6, masked, parseAddress } from "./address.js";

/** Keys of IPv6 clients that are remembered. */
const MOST_REMEMBERED = 1024;

/**
 * What a client is counted by: an IPv4 address as it is, an IPv6 address by its network, because
 * one subscriber has a whole /64 and would have as many quotas as it has addresses.
 *
 * @param ip canonical text, as `ClientAddressResolver` gives it; a text that is no address is its own key
 * @param ipv6Prefix bits of an IPv6 address that count
 *
 * @example
 * ```ts
 * clientKey("203.0.113.9"); // "203.0.113.9"
 * clientKey("2001:db8:1:2:3:4:5:6"); // "2001:db8:1:2::/64"
 * ```
 */
export function clientKey(ip: string, ipv6Prefix = 64): string {
  if (!ip.includes(":")) return ip;
  const address = parseAddress(ip);
  if (address === undefined) return ip;
  return isIpv6(address) ? `${addressText(masked(address, ipv6Prefix))}/${ipv6Prefix}` : addressText(address);
}

/** `clientKey` with one prefix and a small memory, so that a busy client is not parsed each time. */
export class ClientKeys {
  readonly #remembered = new Map<string, string>();

  /** @param ipv6Prefix bits of an IPv6 address that count */
  constructor(readonly ipv6Prefix = 64) {}

  of(ip: string): string {
    if (!ip.includes(":")) return ip;
    const known = this.#remembered.get(ip);
    if (known !== undefined) return known;
    const key = clientKey(ip, this.ipv6Prefix);
    if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(ip, key);
    return key;
  }
}
