import type { JsonObject } from "../core/json.js";
import { decodeBase64url } from "../jws/base64url.js";
import { parseJsonObject } from "../jws/json.js";

/** What a token says about itself. Nothing of it has been verified. */
export interface DecodedToken {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  /** Always `false`: anybody can write a token that decodes like this one. */
  readonly isVerified: false;
}

/**
 * Reads a token without verifying anything: for logs and tools, never for a decision.
 *
 * @returns `undefined` when the text is not a JWT in compact form
 */
export function decodeToken(token: string): DecodedToken | undefined {
  const parts = token.split(".", 4);
  const [header, payload] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined) return undefined;
  const headerObject = parseSegment(header);
  const claims = parseSegment(payload);
  if (headerObject === undefined || claims === undefined) return undefined;
  return { header: headerObject, claims, isVerified: false };
}

function parseSegment(segment: string): JsonObject | undefined {
  const bytes = decodeBase64url(segment);
  return bytes === undefined ? undefined : parseJsonObject(bytes);
}
