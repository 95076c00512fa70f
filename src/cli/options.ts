import { InvalidArgumentError } from "commander";
import { isJsonObject, type JsonObject } from "../core/json.js";
import { usageFailure } from "./io.js";

/** A parser for an option that is a whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** A claim from the command line: name and text. */
export type ClaimPair = readonly [name: string, value: string];

/** Parses one more `name=value`; the value may contain further equals signs and is always text. */
export function collectClaim(text: string, before: readonly ClaimPair[]): readonly ClaimPair[] {
  const split = text.indexOf("=");
  if (split < 1) throw new InvalidArgumentError("Write name=value.");
  return [...before, [text.slice(0, split), text.slice(split + 1)]];
}

export function parseClaims(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Fall through: whatever JSON.parse says about it would repeat the text.
  }
  if (!isJsonObject(value)) throw new InvalidArgumentError(`Give a JSON object: '{"roles":["admin"]}'.`);
  return value;
}

/** Parses a duration in seconds, or with a unit: `900`, `15m`, `2h`, `30d`. */
export function parseDuration(text: string): number {
  const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
  const [, digits, unit = "s"] = /^(\d+)([smhd]?)$/.exec(text) ?? [];
  const seconds = Number(digits) * (units[unit || "s"] ?? 1);
  if (!Number.isSafeInteger(seconds) || seconds < 1) {
    throw new InvalidArgumentError("Give a number of seconds, or one with a unit: 900, 15m, 2h, 30d.");
  }
  return seconds;
}

/**
 * All claims in one object.
 *
 * @throws CommandFailure when one is given twice: which one counts would be a guess
 */
export function mergeClaims(json: JsonObject, pairs: readonly ClaimPair[], subject: string | undefined): JsonObject {
  const named: ClaimPair[] = subject === undefined ? [...pairs] : [...pairs, ["sub", subject]];
  const claims = new Map<string, unknown>(Object.entries(json));
  for (const [name, value] of named) {
    if (claims.has(name)) throw usageFailure(`the claim ${JSON.stringify(name)} is given twice`);
    claims.set(name, value);
  }
  return Object.fromEntries(claims);
}
