import { randomBytes } from "node:crypto";

/**
 * A secret from the environment, or a fresh one, with which sessions and tokens end when the process
 * does.
 */
export function secretFrom(variable: string): string | Buffer {
  const given = process.env[variable];
  return given === undefined || given === "" ? randomBytes(32) : given;
}
