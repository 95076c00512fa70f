import type { Algorithm } from "./algorithms.js";
import { decodeBase64url } from "./base64url.js";
import type { JwsRejection } from "./errors.js";
import { type JwsHeader, parseHeader } from "./header.js";
import type { PreparedKey } from "./keys.js";

/** A JWS whose signature is right. */
export interface VerifiedJws {
  readonly header: JwsHeader;
  readonly payload: Buffer;
}

/** A header that was accepted once, and the keys that may have signed under it. */
interface KnownHeader {
  readonly header: JwsHeader;
  readonly candidates: readonly PreparedKey[];
}

/** How many header texts are remembered: one issuer uses one for each of its keys. */
const MAX_KNOWN_HEADERS = 64;

/** Longer header texts are parsed each time instead of being kept. */
const MAX_KNOWN_HEADER_LENGTH = 1024;

/**
 * Verifies compact JWS with a fixed set of prepared keys.
 *
 * A key verifies tokens of its own algorithm only. A `kid` in the token chooses the key that has it;
 * a key without `kid` is tried for every token. So the work for one token is bounded by the number
 * of keys that were configured.
 */
export class JwsVerifier {
  readonly #keys: readonly PreparedKey[];
  readonly #keysWithoutId: readonly PreparedKey[];
  readonly #keysById: ReadonlyMap<string, readonly PreparedKey[]>;
  readonly #algorithms: ReadonlySet<string>;
  /** Under their texts: those that libraries usually write, and those that were seen in verified tokens. */
  readonly #knownHeaders = new Map<string, KnownHeader>();

  /** @param algorithms those of the keys; given where there may be no key at all */
  constructor(keys: readonly PreparedKey[], algorithms: readonly Algorithm[] = []) {
    this.#keys = keys;
    this.#keysWithoutId = keys.filter((key) => key.kid === undefined);
    const byId = new Map<string, PreparedKey[]>();
    for (const key of keys) {
      if (key.kid !== undefined) byId.set(key.kid, [...(byId.get(key.kid) ?? []), key]);
    }
    this.#keysById = byId;
    this.#algorithms = new Set([...keys.map((key) => key.algorithm), ...algorithms].map(({ name }) => name));
    for (const segment of keys.flatMap(usualHeaders).slice(0, MAX_KNOWN_HEADERS)) {
      const accepted = this.#acceptHeader(segment);
      if (typeof accepted === "object") this.#knownHeaders.set(segment, accepted);
    }
  }

  /** The verified content of a token, or why it is refused. Does not throw. */
  verify(token: string): VerifiedJws | JwsRejection {
    const headerEnd = token.indexOf(".");
    const payloadEnd = token.indexOf(".", headerEnd + 1);
    if (headerEnd <= 0 || payloadEnd === -1 || token.indexOf(".", payloadEnd + 1) !== -1) return "malformed";
    const segment = token.slice(0, headerEnd);
    const known = this.#knownHeaders.get(segment);
    const accepted = known ?? this.#acceptHeader(segment);
    if (typeof accepted === "string") return accepted;
    if (!hasRightSignature(accepted.candidates, token.slice(0, payloadEnd), token.slice(payloadEnd + 1))) {
      return "signature";
    }
    // Only under a right signature: forged headers must not push out those that are in use.
    if (known === undefined) this.#remember(segment, accepted);
    const payload = decodeBase64url(token.slice(headerEnd + 1, payloadEnd));
    return payload === undefined ? "malformed" : { header: accepted.header, payload };
  }

  #acceptHeader(segment: string): KnownHeader | JwsRejection {
    const header = parseHeader(segment);
    if (typeof header === "string") return header;
    if (!this.#algorithms.has(header.alg)) return "algorithm";
    const candidates = this.#keysFor(header.kid).filter((key) => key.algorithm.name === header.alg);
    return candidates.length === 0 ? "unknown_key" : { header, candidates };
  }

  #keysFor(kid: string | undefined): readonly PreparedKey[] {
    if (kid === undefined) return this.#keys;
    return this.#keysById.get(kid) ?? this.#keysWithoutId;
  }

  #remember(segment: string, accepted: KnownHeader): void {
    if (segment.length > MAX_KNOWN_HEADER_LENGTH) return;
    if (this.#knownHeaders.size >= MAX_KNOWN_HEADERS) this.#knownHeaders.clear();
    // A slice would keep the whole token in memory: the copy does not.
    this.#knownHeaders.set(Buffer.from(segment).toString("latin1"), accepted);
  }
}

/** As libraries write them: so a flood of forged tokens is not parsed before the first good one comes (docs/performance.md). */
function usualHeaders({ algorithm: { name: alg }, kid }: PreparedKey): readonly string[] {
  const usual = [{ alg }, { alg, typ: "JWT" }, { typ: "JWT", alg }];
  const withKeyId = kid === undefined ? [] : usual.map((header) => ({ ...header, kid }));
  return [...usual, ...withKeyId].map((header) => Buffer.from(JSON.stringify(header)).toString("base64url"));
}

function hasRightSignature(candidates: readonly PreparedKey[], signingInput: string, signature: string): boolean {
  for (const key of candidates) {
    if (key.check(signingInput, signature)) return true;
  }
  return false;
}
