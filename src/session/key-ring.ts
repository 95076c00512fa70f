import { createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import type { SessionRejection } from "../core/events.js";

// A cookie's value begins with: version (1) | key id (4) | issue time, ms (6)
export const HEAD_BYTES = 11;

/** How far the clocks of two machines may differ. */
const CLOCK_SKEW_MS = 60_000;

const DAY_MS = 86_400_000;
const SALT = "cello session v1";

/**
 * The keys that come from one secret: one per purpose, and for sealing one per day.
 *
 * Random 96-bit nonces are safe for 2^32 messages under one AES-GCM key (NIST SP 800-38D section
 * 8.3). A key per UTC day of the issue time keeps any application under that, however long its secret
 * lives.
 */
export class SessionKey {
  /** Says in a cookie which secret made it: 32 bits that tell nothing about the secret. */
  readonly id: number;
  /** Signs session ids (HMAC-SHA256). */
  readonly signing: KeyObject;
  readonly #sealingRoot: KeyObject;
  readonly #maxDays: number;
  readonly #sealingByDay = new Map<number, KeyObject>();

  /**
   * @param maxDays how many daily keys are kept: as many as cookies can be old
   */
  constructor(secret: Uint8Array, maxDays: number) {
    const root = createSecretKey(secret);
    this.id = Buffer.from(hkdfSync("sha256", root, SALT, "key id", 4)).readUInt32BE(0);
    this.signing = derive(root, "sign session id");
    this.#sealingRoot = derive(root, "seal session cookie");
    this.#maxDays = maxDays;
  }

  sealingAt(issuedAt: number): KeyObject {
    // The UTC day, counted from 1970.
    const day = Math.floor(issuedAt / DAY_MS);
    const known = this.#sealingByDay.get(day);
    if (known !== undefined) return known;
    const key = derive(this.#sealingRoot, `day ${day}`);
    for (const oldest of this.#sealingByDay.keys()) {
      if (this.#sealingByDay.size < this.#maxDays) break;
      this.#sealingByDay.delete(oldest);
    }
    this.#sealingByDay.set(day, key);
    return key;
  }
}

/** All keys of a configuration: the first makes cookies, all open them. */
export class SessionKeyRing {
  readonly current: SessionKey;
  readonly #maxAgeMs: number;
  readonly #byId = new Map<number, SessionKey>();

  /**
   * @param secrets at least one; the first is the current one
   * @param maxAgeMs cookies that were made longer ago are refused before any cryptography
   */
  constructor(secrets: readonly Uint8Array[], maxAgeMs: number) {
    const maxDays = Math.ceil(maxAgeMs / DAY_MS) + 2;
    const keys = secrets.map((secret) => new SessionKey(secret, maxDays));
    const [current] = keys;
    if (current === undefined) throw new RangeError("a key ring needs at least one secret");
    this.current = current;
    this.#maxAgeMs = maxAgeMs;
    for (const key of keys.toReversed()) this.#byId.set(key.id, key);
  }

  /** Begins a cookie's value. @returns the key that makes it */
  writeHead(value: Buffer, version: number, issuedAt: number): SessionKey {
    value.writeUInt8(version, 0);
    value.writeUInt32BE(this.current.id, 1);
    value.writeUIntBE(issuedAt, 5, 6);
    return this.current;
  }

  /** The key that a cookie's value names, found without trying each, or why it is refused whatever else it holds. */
  readHead(value: Buffer, now: number): { readonly key: SessionKey; readonly issuedAt: number } | SessionRejection {
    const issuedAt = value.readUIntBE(5, 6);
    if (issuedAt > now + CLOCK_SKEW_MS) return "malformed";
    if (issuedAt <= now - this.#maxAgeMs) return "expired";
    const key = this.#byId.get(value.readUInt32BE(1));
    return key === undefined ? "signature" : { key, issuedAt };
  }
}

function derive(root: KeyObject, purpose: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync("sha256", root, SALT, purpose, 32)));
}
