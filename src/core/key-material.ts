import { createPrivateKey, createPublicKey, ECDH, X509Certificate } from "node:crypto";

/** How deep a text is unwrapped: base64 in quotes in base64 is as far as mistakes go. */
const MAX_WRAPPINGS = 4;

/** Object identifiers of keys as they stand in DER, with their tags: in no random secret by chance. */
const KEY_IDENTIFIERS: readonly Buffer[] = [
  // The arc of PKCS #1 (rsaEncryption, RSASSA-PSS), and that of PKCS #5 around encrypted keys.
  Buffer.from("06092a864886f70d0101", "hex"),
  Buffer.from("06092a864886f70d0105", "hex"),
  // id-ecPublicKey: RFC 5480 section 2.1.1.
  Buffer.from("06072a8648ce3d0201", "hex"),
  // X25519, X448, Ed25519, Ed448: RFC 8410 section 3.
  ...["6e", "6f", "70", "71"].map((arc) => Buffer.from(`300506032b65${arc}`, "hex")),
];

/** What tells a key, wherever it stands in a longer text. */
const MARKS: readonly Mark[] = [
  ...KEY_IDENTIFIERS.map((identifier) => markOf("a key in DER", identifier)),
  markOf("PEM text", Buffer.from("--BEGIN ")),
  markOf("the text of a JWK", Buffer.from('"kty":"')),
  markOf("the text of a JWK", Buffer.from('"kty": "')),
];

/** A few bytes as they read in the middle of base64, in hex, and as numbers. */
interface Mark {
  readonly what: string;
  readonly base64: readonly string[];
  readonly hex: string;
  readonly numbers: string;
}

/** The names of SSH key types. In the wire format their length stands before them: RFC 4253 section 6.6. */
const SSH_TYPE = /^(?:ssh-|ecdsa-|sk-|rsa-)/;
const SSH_TEXT = /\b(?:ssh-(?:rsa|dss|ed25519|ed448)|ecdsa-sha2-\S+|sk-\S+@openssh\.com)\s+AAAA/;

/** Curves by the length of a point that is written with both coordinates. */
const CURVES_BY_POINT_LENGTH: ReadonlyMap<number, string> = new Map([
  [65, "prime256v1"],
  [97, "secp384r1"],
  [133, "secp521r1"],
]);

/**
 * What kind of key a text or bytes really are: PEM, DER, a JWK or a set of them, a certificate, an SSH
 * key; also in base64, base64url, hex, quotes or percent-encoding, without PEM's armour, and in the middle
 * of something else.
 *
 * Public keys are known to everybody: used as a secret, one would let anybody sign who can read it (the
 * RS256 to HS256 confusion of RFC 8725 section 2.1). A private key is a secret, but of another kind:
 * whoever has its public half may find out the rest of a text that is mostly fixed.
 *
 * @returns for a message; `undefined` when the bytes are none of these
 */
export function keyMaterialIn(secret: Uint8Array): string | undefined {
  return unwrap(Buffer.from(secret), MAX_WRAPPINGS);
}

function unwrap(bytes: Buffer, wrappings: number): string | undefined {
  const found = keyInText(bytes) ?? keyInDer(bytes) ?? pointOfCurve(bytes);
  if (found !== undefined || wrappings === 0) return found;
  for (const inner of wrapped(bytes.toString("latin1"))) {
    const hidden = unwrap(inner, wrappings - 1);
    if (hidden !== undefined) return hidden;
  }
  return markIn(bytes.toString("latin1"));
}

function keyInText(bytes: Buffer): string | undefined {
  // Without zero bytes UTF-16 reads like ASCII.
  const text = bytes.toString("latin1").replaceAll("\0", "");
  if (/-{4,5} ?BEGIN /.test(text)) return "PEM text";
  const isWire = bytes.length > 8 && bytes.readUInt32BE() < 64 && SSH_TYPE.test(bytes.toString("latin1", 4, 16));
  if (isWire || SSH_TEXT.test(text) || text.startsWith("openssh-key-v1")) return "an SSH key";
  if (text.startsWith("PuTTY-User-Key-File-")) return "an SSH key";
  if (/<(?:RSAKeyValue|Modulus)>/.test(text)) return "a key in XML";
  return keyInJson(text);
}

/**
 * A key in a text that has more than the key: a line of an environment file, a member of a JSON object, a
 * list of bytes, `base64:` in front, PEM that lost its first line.
 */
function markIn(text: string): string | undefined {
  if (/\\*"kty\\*"\s*:\s*\\*"(?:RSA|EC|OKP|oct)/.test(text)) return "the text of a JWK";
  const base64 = text
    .replace(/\s|\\[nr]?/g, "")
    .replaceAll("-", "+")
    .replaceAll("_", "/");
  const hex = text.toLowerCase().replace(/0x|[^0-9a-f]/g, "");
  const numbers = text.replace(/\s/g, "");
  const found = MARKS.find(
    (mark) =>
      mark.base64.some((part) => base64.includes(part)) || hex.includes(mark.hex) || numbers.includes(mark.numbers),
  );
  return found?.what;
}

function markOf(what: string, bytes: Buffer): Mark {
  // What stands before them in base64 shifts them by none, one or two bytes.
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64");
    // Of the characters at both ends only those that hold bits of nothing else.
    return text.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
  });
  return { what, base64, hex: bytes.toString("hex"), numbers: bytes.join(",") };
}

function keyInJson(text: string): string | undefined {
  const json = text.replace(/^(?:\ufeff|\xef\xbb\xbf)/, "").trim();
  if (!json.startsWith("{") && !json.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(json);
    return isJwk(value) ? "the text of a JWK" : hasJwk(value) ? "the text of a JWK Set" : undefined;
  } catch {
    return undefined;
  }
}

function hasJwk(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const keys: unknown = Array.isArray(value) ? value : Reflect.get(value, "keys");
  return Array.isArray(keys) && keys.some(isJwk);
}

/** By its type, or by the members that only keys have, where somebody left the type out. */
function isJwk(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return [["kty"], ["n", "e"], ["crv", "x"], ["x5c"]].some((members) =>
    members.every((member) => Object.hasOwn(value, member)),
  );
}

function keyInDer(bytes: Buffer): string | undefined {
  if (KEY_IDENTIFIERS.some((identifier) => bytes.includes(identifier))) {
    return isCertificate(bytes) ? "a certificate" : "a key in DER";
  }
  // PKCS #1 and SEC 1 say nothing of the kind of key: they are known by their parts.
  if (bytes[0] !== 0x30) return undefined;
  const isKey =
    succeeds(() => createPublicKey({ key: bytes, format: "der", type: "pkcs1" })) ||
    succeeds(() => createPrivateKey({ key: bytes, format: "der", type: "pkcs1" })) ||
    succeeds(() => createPrivateKey({ key: bytes, format: "der", type: "sec1" }));
  return isKey ? "a key in DER" : undefined;
}

function isCertificate(bytes: Buffer): boolean {
  return succeeds(() => new X509Certificate(bytes));
}

/** A public key of a curve without anything around it: what Web Push calls a VAPID key, for one. */
function pointOfCurve(bytes: Buffer): string | undefined {
  const curve = bytes[0] === 4 ? CURVES_BY_POINT_LENGTH.get(bytes.length) : undefined;
  if (curve === undefined) return undefined;
  return succeeds(() => ECDH.convertKey(bytes, curve)) ? "the point of a public key" : undefined;
}

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}

/** What a text may stand for, when it is written in another form. */
function wrapped(text: string): Buffer[] {
  const inner: Buffer[] = [];
  const bare = text.trim().replace(/^(["'`])([\s\S]*)\1$/, "$2");
  if (bare !== text) inner.push(Buffer.from(bare, "latin1"));
  if (bare.includes("%")) {
    // One that is no percent-encoding throws, and hides nothing.
    succeeds(() => inner.push(Buffer.from(decodeURIComponent(bare))));
  }
  // Line breaks also as the two characters that they are in an environment file.
  const joined = bare.replace(/^data:[^,]*,/, "").replace(/\s|\\r|\\n/g, "");
  const digits = joined.replace(/^0x|:/gi, "");
  if (/^(?:[0-9a-f]{2})+$/i.test(digits)) inner.push(Buffer.from(digits, "hex"));
  if (/^[A-Za-z0-9+/_-]+={0,2}$/.test(joined)) inner.push(Buffer.from(joined, "base64"));
  return inner;
}
