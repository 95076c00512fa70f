import { createHmac, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** Algorithms that the bench measures. */
export type Algorithm = "HS256" | "RS256" | "ES256";

/** Makes tokens, independently of everything that is measured. */
export class TokenMaker {
  /** What a server verifies with: the shared secret, or a public key as PEM. */
  readonly verificationKey: string;
  readonly #sign: (input: string) => Buffer;
  readonly #header: string;
  #count = 0;

  constructor(readonly algorithm: Algorithm) {
    this.#header = encode({ alg: algorithm, typ: "JWT" });
    if (algorithm === "HS256") {
      const secret = randomBytes(48).toString("base64url");
      this.verificationKey = secret;
      this.#sign = (input) => createHmac("sha256", secret).update(input).digest();
      return;
    }
    const { publicKey, privateKey } = keyPair(algorithm);
    this.verificationKey = publicKey.export({ type: "spki", format: "pem" }).toString();
    const key = { key: privateKey, dsaEncoding: "ieee-p1363" } as const;
    this.#sign = (input) => sign("sha256", Buffer.from(input), key);
  }

  /** A token of its own for the subject, valid for a day. */
  make(subject: string, claims: Record<string, unknown> = {}): string {
    const now = Math.floor(Date.now() / 1000);
    const body = { sub: subject, roles: ["admin"], jti: `${this.#count++}`, iat: now, exp: now + 86_400, ...claims };
    const input = `${this.#header}.${encode(body)}`;
    return `${input}.${this.#sign(input).toString("base64url")}`;
  }

  /** A token whose signature belongs to another one. */
  forge(subject: string): string {
    const signature = this.make("somebody else").split(".")[2];
    return `${this.make(subject).split(".").slice(0, 2).join(".")}.${signature}`;
  }

  /** Many tokens, each of its own. */
  makeMany(count: number, make: (maker: TokenMaker) => string): string[] {
    return Array.from({ length: count }, () => make(this));
  }
}

function keyPair(algorithm: "RS256" | "ES256"): { publicKey: KeyObject; privateKey: KeyObject } {
  return algorithm === "RS256"
    ? generateKeyPairSync("rsa", { modulusLength: 2048 })
    : generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
