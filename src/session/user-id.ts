import { describe } from "../core/options.js";

/**
 * Whose session it is, as text, by the value under `userKey`; what is no id of a user is nobody.
 *
 * A store may write the text as bytes, where all halves of surrogate pairs become the same character
 * and two users one: such an id is written with escapes.
 */
export function userIdOf(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  if (typeof value !== "string" || value === "") return undefined;
  return value.isWellFormed() ? value : JSON.stringify(value);
}

/** The same for an id that an application names. @throws TypeError for `undefined` and the like, whose sessions nobody has */
export function requireUserId(value: unknown): string {
  const userId = value === "" ? value : userIdOf(value);
  if (userId !== undefined) return userId;
  throw new TypeError(`the id of a user must be a string or a number, got ${describe(value)}`);
}
