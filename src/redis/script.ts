import { createHash } from "node:crypto";

/** A Lua script and the name under which Redis keeps it (its SHA-1, which is no matter of security here). */
export interface Script {
  readonly source: string;
  readonly sha1: string;
}

/** Begins a script that needs the server's time: `now`, in milliseconds, of `time`, in seconds and microseconds. */
export const WITH_TIME = `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

export function defineScript(source: string): Script {
  return Object.freeze({ source, sha1: createHash("sha1").update(source).digest("hex") });
}

/** What to throw for an answer that the script never gives: the key holds something else, or a proxy answered. */
export function unexpectedReply(expected: string): TypeError {
  return new TypeError(`Redis answered with something that is no ${expected}`);
}
