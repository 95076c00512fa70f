import { createHash, createHmac, type KeyObject, timingSafeEqual } from "node:crypto";
import type { SessionRejection } from "../core/events.js";
import { randomText } from "../core/random.js";
import { HEAD_BYTES, type SessionKeyRing } from "./key-ring.js";

// head (11) | id (32) | HMAC-SHA256 (32)
const VERSION = 2;
const ID_AT = HEAD_BYTES;
const TAG_AT = 43;
const TOTAL_BYTES = 75;
const VALUE_LENGTH = 100;
const ID_BYTES = 32;

export interface OpenedId {
  /** The session's id: 256 random bits, base64url. */
  readonly id: string;
  /** What stores know it by: SHA-256 of the id's bytes, base64url. */
  readonly storeId: string;
  /** When the cookie was made, in milliseconds since 1970. */
  readonly issuedAt: number;
  /** The cookie's value as a string of its own. */
  readonly value: string;
}

/**
 * Session ids in signed cookies, for sessions that are kept on the server.
 *
 * The signature is no secret-keeping: it lets forged and foreign ids be refused without asking the
 * store, and binds an id to this cookie's name.
 */
export class SignedIds {
  readonly #keys: SessionKeyRing;
  readonly #purpose: string;

  constructor(keys: SessionKeyRing, cookieName: string) {
    this.#keys = keys;
    this.#purpose = `cello session id\0${cookieName}`;
  }

  static create(): string {
    return randomText(ID_BYTES, "base64url");
  }

  static storeIdOf(id: string): string {
    return createHash("sha256").update(id, "base64url").digest("base64url");
  }

  sign(id: string, issuedAt: number): string {
    const signed = Buffer.allocUnsafe(TOTAL_BYTES);
    const key = this.#keys.writeHead(signed, VERSION, issuedAt);
    // What the id does not fill would be whatever stood in this memory.
    if (signed.write(id, ID_AT, ID_BYTES, "base64url") !== ID_BYTES) throw new TypeError("not a session id");
    this.#tag(signed, key.signing).copy(signed, TAG_AT);
    return signed.toString("base64url");
  }

  /** The id in a cookie value, or why the value is refused. */
  open(value: string, now: number): OpenedId | SessionRejection {
    if (value.length !== VALUE_LENGTH) return "malformed";
    const signed = Buffer.from(value, "base64url");
    const canonical = signed.toString("base64url");
    if (canonical !== value || signed.readUInt8(0) !== VERSION) return "malformed";
    const head = this.#keys.readHead(signed, now);
    if (typeof head === "string") return head;
    const { key, issuedAt } = head;
    if (!timingSafeEqual(this.#tag(signed, key.signing), signed.subarray(TAG_AT))) return "signature";
    const id = signed.toString("base64url", ID_AT, TAG_AT);
    return { id, storeId: SignedIds.storeIdOf(id), issuedAt, value: canonical };
  }

  #tag(signed: Buffer, key: KeyObject): Buffer {
    return createHmac("sha256", key).update(signed.subarray(0, TAG_AT)).update(this.#purpose).digest();
  }
}
