import { defineScript, WITH_TIME } from "./script.js";

/*
 * A session is a hash under a key of its own:
 *
 *   v version, d data and flashes (JSON), c createdAt, u lastUsedAt, e expiresAt, f forgetAt,
 *   n userId (absent: nobody), x until when the index of that user surely has the session,
 *   s the id to which it has moved (absent: it is there)
 *
 * The index of a user is a sorted set of session ids by that last moment. A Cluster keeps it
 * elsewhere than the sessions, so no script can write both at once. What must hold is that the index is
 * never short of a session: it is written before the session, and the scripts below refuse to let a
 * session outlast its place in the index.
 */

/** Opens a script of a session: its fields in force, none when it may be forgotten by now. */
const READ = `${WITH_TIME}local stored = redis.call("HMGET", KEYS[1], "v", "f", "n", "x", "s")
local exists = stored[1] and tonumber(stored[2]) > now
`;

/**
 * Stores a session if the stored one has the expected version.
 *
 * KEYS: the session. ARGV: expected version, version, JSON, createdAt, lastUsedAt, expiresAt, forgetAt,
 * userId ("" for none), until when its index has the session (0: not known), successor ("" for none).
 * Answers "saved", "conflict", "gone", or "index": put the session into the index first.
 */
export const SAVE = defineScript(`${READ}
if not exists and ARGV[1] ~= "0" then return "gone" end
if (exists and stored[1] or "0") ~= ARGV[1] or (exists and stored[5]) then return "conflict" end
local indexed = tonumber(ARGV[9])
if exists and stored[3] == ARGV[8] then indexed = math.max(indexed, tonumber(stored[4])) end
if ARGV[8] ~= "" and indexed < tonumber(ARGV[7]) then return "index" end
-- A session that had no time left and was not removed yet must not lend its fields.
if not exists then redis.call("DEL", KEYS[1]) end
redis.call("HSET", KEYS[1], "v", ARGV[2], "d", ARGV[3], "c", ARGV[4], "u", ARGV[5], "e", ARGV[6], "f", ARGV[7])
if ARGV[8] == "" then
  redis.call("HDEL", KEYS[1], "n", "x")
else
  redis.call("HSET", KEYS[1], "n", ARGV[8], "x", string.format("%.0f", indexed))
end
if ARGV[10] == "" then redis.call("HDEL", KEYS[1], "s") else redis.call("HSET", KEYS[1], "s", ARGV[10]) end
redis.call("PEXPIREAT", KEYS[1], ARGV[7])
return "saved"
`);

/**
 * Ends a session if it has the expected version: nothing is left, and no save can bring it back.
 *
 * KEYS: the session. ARGV: expected version.
 * Answers "conflict", "gone", or a list of "saved" and the userId ("" for none).
 */
export const END = defineScript(`${READ}
if not exists then return "gone" end
if stored[1] ~= ARGV[1] then return "conflict" end
redis.call("DEL", KEYS[1])
return { "saved", stored[3] or "" }
`);

/**
 * Changes the times of a session.
 *
 * KEYS: the session. ARGV: lastUsedAt, expiresAt, forgetAt, userId whose index was written ("" for
 * none), until when it has the session.
 * Answers 1, 0 when there is no session, or the userId into whose index the session must be put first.
 */
export const TOUCH = defineScript(`${READ}
if not exists or stored[5] then return 0 end
if stored[3] then
  local indexed = tonumber(stored[4])
  if stored[3] == ARGV[4] then indexed = math.max(indexed, tonumber(ARGV[5])) end
  if indexed < tonumber(ARGV[3]) then return stored[3] end
  redis.call("HSET", KEYS[1], "x", string.format("%.0f", indexed))
end
redis.call("HSET", KEYS[1], "u", ARGV[1], "e", ARGV[2], "f", ARGV[3])
redis.call("PEXPIREAT", KEYS[1], ARGV[3])
return 1
`);

/** Deletes a session. KEYS: the session. Answers its userId and its successor, "" where there is none. */
export const DELETE = defineScript(`
local stored = redis.call("HMGET", KEYS[1], "n", "s")
redis.call("DEL", KEYS[1])
return { stored[1] or "", stored[2] or "" }
`);

const PRUNE = `${WITH_TIME}redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", "(" .. string.format("%.0f", now))
`;

/**
 * Puts a session into the index of a user, or lengthens its place there. KEYS: the index. ARGV: until
 * when, id. The index itself lasts as long as the last of its sessions.
 */
export const ADD_TO_INDEX = defineScript(`${PRUNE}
redis.call("ZADD", KEYS[1], "GT", ARGV[1], ARGV[2])
local last = redis.call("ZRANGE", KEYS[1], -1, -1, "WITHSCORES")
redis.call("PEXPIREAT", KEYS[1], string.format("%.0f", tonumber(last[2])))
return 1
`);

/**
 * Shortens the place of a session in an index: what has moved is not looked for longer than it is there.
 * KEYS: the index. ARGV: until when, id.
 */
export const SHORTEN_IN_INDEX = defineScript(`
return redis.call("ZADD", KEYS[1], "XX", "LT", ARGV[1], ARGV[2])
`);

/** The ids in an index. KEYS: the index. */
export const READ_INDEX = defineScript(`${PRUNE}
return redis.call("ZRANGE", KEYS[1], 0, -1)
`);
