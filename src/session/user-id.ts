import type { JsonValue } from "./json.js";

/** Whose session it is, as text, by the value under `userKey`; what is no id of a user is nobody. */
export function userIdOf(value: JsonValue | undefined): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}
