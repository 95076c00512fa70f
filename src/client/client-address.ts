import { addressText, isIpv4, parseAddress } from "./address.js";
import { type AddressRange, isInRanges, parseTrustProxy, type TrustProxy } from "./trust-proxy.js";

/** The client's address where the host does not tell one (a Unix socket, a bare test request). */
export const UNKNOWN_CLIENT = "unknown";

/** Entries of `X-Forwarded-For` that are looked at: more than any chain of proxies in earnest. */
const MOST_HOPS = 32;

/** Socket addresses that are remembered in parsed form. */
const MOST_REMEMBERED = 1024;

interface Speaker {
  /** Canonical text. */
  readonly text: string;
  readonly isTrusted: boolean;
}

const UNKNOWN_SPEAKER: Speaker = Object.freeze({ text: UNKNOWN_CLIENT, isTrusted: false });

/**
 * Finds the address of the client behind the proxies that are trusted to name it.
 *
 * `X-Forwarded-For` is read from its right end, where the nearest proxy wrote, and only as long as
 * the one who wrote is trusted. What a client itself puts into the header stands further left and is
 * never reached.
 *
 * @example
 * ```ts
 * const resolver = new ClientAddressResolver(["10.0.0.0/8"]);
 * resolver.resolve("10.0.0.7", "1.2.3.4, 203.0.113.9"); // "203.0.113.9"
 * ```
 */
export class ClientAddressResolver {
  readonly #ranges: readonly AddressRange[];
  readonly #remembered = new Map<string, Speaker>();

  /**
   * @param trustProxy who may speak for the client; nobody when not given
   * @param subject the class that a `ConfigError` names
   * @throws ConfigError when `trustProxy` does not name addresses
   */
  constructor(trustProxy?: TrustProxy, subject = "App") {
    this.#ranges = parseTrustProxy(trustProxy, subject);
  }

  /** Whether anybody may speak for the client. */
  get trustsSomebody(): boolean {
    return this.#ranges.length > 0;
  }

  /**
   * The client's address in canonical text, or `"unknown"`.
   *
   * @param peerAddress the other end of the socket
   * @param forwardedFor the `X-Forwarded-For` header, several lines joined by commas
   */
  resolve(peerAddress: string | undefined, forwardedFor: string | undefined): string {
    const peer = this.#speaker(peerAddress);
    if (!peer.isTrusted || forwardedFor === undefined) return peer.text;
    return this.#walk(peer, forwardedFor);
  }

  /**
   * What the nearest proxy says about the request (`X-Forwarded-Proto`, `X-Forwarded-Host`), when it is
   * one that may speak for the client.
   *
   * @param value the header's value, to which each proxy appends its own word
   */
  forwarded(peerAddress: string | undefined, value: string | undefined): string | undefined {
    if (value === undefined || !this.isTrusted(peerAddress)) return undefined;
    // The last word is that of the proxy at the other end of the socket.
    return value.slice(value.lastIndexOf(",") + 1).trim();
  }

  /** Whether the one at the other end of the socket may speak for the client. */
  isTrusted(peerAddress: string | undefined): boolean {
    return this.#speaker(peerAddress).isTrusted;
  }

  #walk(peer: Speaker, forwardedFor: string): string {
    let speaker = peer;
    let end = forwardedFor.length;
    for (let hop = 0; hop < MOST_HOPS && speaker.isTrusted && end >= 0; hop++) {
      const comma = end === 0 ? -1 : forwardedFor.lastIndexOf(",", end - 1);
      const named = this.#parse(withoutPort(forwardedFor.slice(comma + 1, end).trim()));
      // Whoever wrote this cannot be believed further; the last one who was named is the client.
      if (named === undefined) break;
      speaker = named;
      end = comma;
    }
    return speaker.text;
  }

  /** Who speaks at the other end of the socket. */
  #speaker(peerAddress: string | undefined): Speaker {
    if (peerAddress === undefined || peerAddress === "") return UNKNOWN_SPEAKER;
    const known = this.#remembered.get(peerAddress);
    if (known !== undefined) return known;
    const speaker = this.#parse(peerAddress) ?? UNKNOWN_SPEAKER;
    // Emptied as a whole: the memo saves parsing, and a flood of addresses must not make it grow.
    if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(peerAddress, speaker);
    return speaker;
  }

  #parse(text: string): Speaker | undefined {
    if (this.#ranges.length === 0 && isIpv4(text)) return { text, isTrusted: false };
    const address = parseAddress(text);
    if (address === undefined) return undefined;
    return { text: addressText(address), isTrusted: isInRanges(address, this.#ranges) };
  }
}

/** `192.0.2.1:1234`, `[2001:db8::1]` and `[2001:db8::1]:1234` without what is not the address. */
function withoutPort(text: string): string {
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    const rest = text.slice(close + 1);
    return close !== -1 && (rest === "" || isPort(rest)) ? text.slice(1, close) : "";
  }
  const colon = text.indexOf(":");
  if (colon === -1 || colon !== text.lastIndexOf(":")) return text;
  return isPort(text.slice(colon)) ? text.slice(0, colon) : "";
}

function isPort(text: string): boolean {
  return /^:\d{1,5}$/.test(text);
}
