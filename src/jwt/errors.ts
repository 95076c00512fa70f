import type { TokenRejection } from "../core/events.js";

const MESSAGES: Readonly<Record<TokenRejection, string>> = Object.freeze({
  malformed: "not a JWT: three parts of canonical base64url with a strict JSON header and payload",
  too_long: "longer than maxTokenLength",
  duplicate_header: "sent more than once",
  algorithm: "signed with another algorithm than the configured one",
  unknown_key: "signed with a key that is not configured",
  signature: "the signature is wrong",
  critical_header: 'the header has "crit" or "b64", which are not supported',
  embedded_key: "the header carries or points to a key, and keys are only taken from the configuration",
  type: 'the "typ" of the header is not the configured one',
  claims: "a registered claim has a wrong type",
  expired: "it has expired",
  not_yet_valid: 'it is not valid yet ("nbf")',
  issued_in_future: 'it was issued in the future ("iat")',
  no_expiration: 'it has no "exp"',
  issuer: 'the "iss" claim is not a configured issuer',
  audience: 'the "aud" claim names no configured audience',
  revoked: "it was revoked",
  keys_unavailable: "the keys at jwksUri are not there (yet); use verifyAsync, which waits for them",
  revocations_unavailable: "nothing has been heard of the shared list of revoked tokens, so it may be one of them",
});

/**
 * A token that is refused, thrown by `jwt.verify` and `jwt.verifyAsync`.
 *
 * `code` says why: for the application and its logs, never for the client.
 */
export class TokenError extends Error {
  override readonly name = "TokenError";
  readonly code: TokenRejection;

  constructor(code: TokenRejection) {
    super(`the token is refused: ${MESSAGES[code]}`);
    this.code = code;
  }
}
