import { ConfigError, type ConfigErrorCode } from "../core/errors.js";
import { describe } from "../core/options.js";
import { type Address, isIn, isIpv6, parseAddress } from "./address.js";

/** Who may speak for the client: addresses, CIDR ranges, and the names of ranges. */
export type TrustProxy = string | readonly string[] | false | undefined;

/** A range of addresses: the first, and how many leading bits count. */
export interface AddressRange {
  readonly network: Address;
  readonly prefixBits: number;
}

const NAMED_RANGES: Readonly<Record<string, readonly string[]>> = {
  loopback: ["127.0.0.0/8", "::1/128"],
  linklocal: ["169.254.0.0/16", "fe80::/10"],
  uniquelocal: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
};

const MEND =
  'name the proxies, for example ["10.0.0.0/8"], or one of "loopback", "linklocal", "uniquelocal"; leave it out when there are none';

/**
 * Parses `trustProxy`.
 *
 * `true`, a number of hops and functions are refused: each trusts whoever connects, and then any
 * client writes the address that it is counted by.
 *
 * @param given the option as the user wrote it; `false` and `undefined` trust nobody
 * @param subject the class that messages name
 * @throws ConfigError when it does not name addresses
 */
export function parseTrustProxy(given: unknown, subject = "App"): readonly AddressRange[] {
  if (given === undefined || given === false) return [];
  if (typeof given !== "string" && !Array.isArray(given)) {
    refuse(subject, "CELLO_WRONG_TYPE", `must name who may speak for the client, got ${describe(given)}`);
  }
  const entries: readonly unknown[] = typeof given === "string" ? given.split(",") : given;
  if (entries.length === 0) refuse(subject, "CELLO_INVALID_VALUE", "is an empty list");
  return Object.freeze(entries.flatMap((entry) => parseEntry(entry, subject)));
}

function parseEntry(entry: unknown, subject: string): readonly AddressRange[] {
  if (typeof entry !== "string") {
    refuse(subject, "CELLO_WRONG_TYPE", `must be a list of addresses, got ${describe(entry)} in it`);
  }
  const text = entry.trim();
  const named = Object.hasOwn(NAMED_RANGES, text) ? NAMED_RANGES[text] : undefined;
  const ranges = (named ?? [text]).map(parseRange);
  return ranges.map((range) => {
    if (range === undefined) refuse(subject, "CELLO_INVALID_VALUE", `${describe(text)} is no address and no range`);
    if (range.prefixBits === 0) {
      refuse(
        subject,
        "CELLO_INVALID_VALUE",
        `${describe(text)} is everybody, so any client could name its own address`,
      );
    }
    return range;
  });
}

function parseRange(text: string): AddressRange | undefined {
  const slash = text.indexOf("/");
  const addressPart = slash === -1 ? text : text.slice(0, slash);
  const network = parseAddress(addressPart);
  if (network === undefined) return undefined;
  const isV4 = !isIpv6(network);
  if (slash === -1) return Object.freeze({ network, prefixBits: isV4 ? 32 : 128 });
  const bitsText = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(bitsText)) return undefined;
  // A range written in mapped form counts its prefix in the 128 bits of IPv6.
  const mappedBits = isV4 && addressPart.includes(":") ? 96 : 0;
  const prefixBits = Number(bitsText) - mappedBits;
  if (prefixBits < 0 || prefixBits > (isV4 ? 32 : 128)) return undefined;
  return Object.freeze({ network, prefixBits });
}

/** Whether an address lies in one of the ranges. */
export function isInRanges(address: Address, ranges: readonly AddressRange[]): boolean {
  return ranges.some(
    ({ network, prefixBits }) => isIpv6(network) === isIpv6(address) && isIn(address, network, prefixBits),
  );
}

function refuse(subject: string, code: ConfigErrorCode, problem: string): never {
  throw new ConfigError({ code, subject, field: "trustProxy", problem, mend: MEND });
}
