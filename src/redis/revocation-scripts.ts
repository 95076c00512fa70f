import type { RedisArgument } from "./connection.js";
import { defineScript } from "./script.js";

/** One thing that was revoked, as it stands in the shared list. */
export interface RevocationEntry {
  /** `t` for a token, `s` for a subject. */
  readonly kind: "t" | "s";
  /** The token's id, or the subject. */
  readonly name: string;
  /** For a subject: tokens issued until then are refused, in milliseconds since 1970. For a token 0. */
  readonly untilMs: number;
  /** Until when it is remembered, in milliseconds since 1970; `Infinity` for ever. */
  readonly expiresMs: number;
}

/** Changes that are kept for those who ask what is new; who is further behind loads the whole list. */
const LOG_LENGTH = 10_000;
/** Entries are removed so long after their end, should the clocks of machine and server differ. */
export const GRACE_MS = 60_000;
/** What was removed is forgotten so long after the last process has asked. */
const DAY_MS = 86_400_000;

/**
 * Common to the scripts below.
 *
 * KEYS: 1 state (hash: epoch, seq, floor), 2 tokens (id -> score: until when, in ms), 3 subjects
 * (hash: "<refused until, ms> <remembered until, ms>"), 4 the subjects by until when they are
 * remembered, 5 the log of changes ("<number>:<kind>:<until>:<expires>:<name>" by number).
 *
 * Changes are numbered by the server's time in microseconds, made unique: a server that lost its last
 * seconds does not give a number twice.
 */
const PRELUDE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local grace = ${GRACE_MS}

local function number(text)
  if text == 'inf' or text == '+inf' then return math.huge end
  return tonumber(text) or 0
end

-- Lua would write 1.7e15 with an exponent.
local function whole(value)
  return string.format('%.0f', value)
end

-- Forgets what has expired; a part of it when that is much.
local function sweep()
  local limit = whole(now - grace)
  local tokens = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', limit, 'LIMIT', 0, 1000)
  if #tokens > 0 then redis.call('ZREM', KEYS[2], unpack(tokens)) end
  local subjects = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', limit, 'LIMIT', 0, 1000)
  if #subjects > 0 then
    redis.call('ZREM', KEYS[4], unpack(subjects))
    redis.call('HDEL', KEYS[3], unpack(subjects))
  end
end

local function begin(epoch)
  redis.call('DEL', KEYS[5])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'seq', '0', 'floor', '0')
end

-- The log is needed only while processes ask for it.
local function keepLog()
  redis.call('PEXPIRE', KEYS[1], ${DAY_MS})
  redis.call('PEXPIRE', KEYS[5], ${DAY_MS})
end
`;

/**
 * Adds entries, notes those that are news, and tells it.
 *
 * ARGV: 1 a new epoch, should there be none; 2 the channel; then four for each entry: kind, name,
 * until, expires.
 *
 * @returns how many were news
 */
const ADD = defineScript(`${PRELUDE}
local function addToken(name, expires)
  local known = redis.call('ZSCORE', KEYS[2], name)
  if known and number(known) >= number(expires) then return false end
  redis.call('ZADD', KEYS[2], expires, name)
  return true
end

local function addSubject(name, untilMs, expires)
  local known = redis.call('HGET', KEYS[3], name)
  if known then
    local knownUntil, knownExpires = string.match(known, '^(%S+) (%S+)$')
    local isOlder = number(knownUntil) >= number(untilMs)
    local isShorter = number(knownExpires) >= number(expires)
    if isOlder and isShorter then return false end
    if isOlder then untilMs = knownUntil end
    if isShorter then expires = knownExpires end
  end
  redis.call('HSET', KEYS[3], name, untilMs .. ' ' .. expires)
  redis.call('ZADD', KEYS[4], expires, name)
  return true
end

-- A key goes by itself with the last of its entries.
local function expireWithLast(key, ordered)
  local last = redis.call('ZREVRANGE', ordered, 0, 0, 'WITHSCORES')
  if #last == 0 then return end
  local score = number(last[2])
  if score > 1e14 then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIREAT', key, whole(math.max(0, math.ceil(score)) + grace))
  end
end

if redis.call('HEXISTS', KEYS[1], 'epoch') == 0 then begin(ARGV[1]) end
local seq = number(redis.call('HGET', KEYS[1], 'seq'))
local stamp = time[1] * 1000000 + time[2]
local news = 0
for i = 3, #ARGV, 4 do
  local kind, name, untilMs, expires = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local isNews
  if kind == 't' then isNews = addToken(name, expires) else isNews = addSubject(name, untilMs, expires) end
  if isNews then
    news = news + 1
    seq = math.max(seq + 1, stamp)
    local mark = whole(seq)
    redis.call('ZADD', KEYS[5], mark, mark .. ':' .. kind .. ':' .. untilMs .. ':' .. expires .. ':' .. name)
  end
end
if news == 0 then return 0 end

redis.call('HSET', KEYS[1], 'seq', whole(seq))
local excess = redis.call('ZCARD', KEYS[5]) - ${LOG_LENGTH}
if excess > 0 then
  local last = redis.call('ZRANGE', KEYS[5], excess - 1, excess - 1, 'WITHSCORES')
  redis.call('HSET', KEYS[1], 'floor', whole(number(last[2])))
  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, excess - 1)
end
sweep()
expireWithLast(KEYS[2], KEYS[2])
expireWithLast(KEYS[3], KEYS[4])
expireWithLast(KEYS[4], KEYS[4])
keepLog()
redis.call('PUBLISH', ARGV[2], whole(seq))
return news
`);

/**
 * Tells what is new.
 *
 * ARGV: 1 a new epoch, should there be none or the old one be over; 2 the epoch that is known; 3 the
 * number of the last change that is known; 4 how many changes to tell at most.
 *
 * @returns epoch, number of the last change, whether the whole list must be loaded (1) or not (0), changes
 */
const NEWS = defineScript(`${PRELUDE}
sweep()
local state = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'floor')
local epoch, seq, floor = state[1], state[2], state[3]
if not epoch then
  epoch, seq, floor = ARGV[1], '0', '0'
  begin(epoch)
end
if redis.call('PTTL', KEYS[1]) < ${DAY_MS / 2} then keepLog() end
if epoch ~= ARGV[2] or number(ARGV[3]) < number(floor) then return {epoch, seq, 1} end

-- The change that was seen last must still be there. If not, the server has lost what it once said (an
-- older snapshot, a replica that took over): a new epoch asks all processes for what they know.
if number(ARGV[3]) > number(floor) and redis.call('ZCOUNT', KEYS[5], ARGV[3], ARGV[3]) == 0 then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
  return {ARGV[1], seq, 1}
end
return {epoch, seq, 0, unpack(redis.call('ZRANGEBYSCORE', KEYS[5], '(' .. ARGV[3], '+inf', 'LIMIT', 0, ARGV[4]))}
`);

/**
 * A part of the whole list. What is there from the beginning to the end of the walk is told, at least once.
 *
 * ARGV: 1 `t` or `s`; 2 the cursor, `0` to begin; 3 about how many.
 *
 * @returns the next cursor (`0`: that was all), names and values in turn
 */
const LIST = defineScript(`
if ARGV[1] == 't' then return redis.call('ZSCAN', KEYS[2], ARGV[2], 'COUNT', ARGV[3]) end
return redis.call('HSCAN', KEYS[3], ARGV[2], 'COUNT', ARGV[3])
`);

export const REVOCATION_SCRIPTS = Object.freeze({ add: ADD, news: NEWS, list: LIST });

/** The keys of the scripts, all in one slot of a Cluster. */
export function revocationKeys(prefix: string): readonly string[] {
  return ["state", "tokens", "subjects", "expiry", "log"].map((part) => `${prefix}:revocation:{r}:${part}`);
}

/** The arguments of `add` for an entry. */
export function argumentsOf({ kind, name, untilMs, expiresMs }: RevocationEntry): RedisArgument[] {
  return [kind, writeName(name), String(untilMs), Number.isFinite(expiresMs) ? String(expiresMs) : "inf"];
}

/** What `news` answers. */
export interface News {
  readonly epoch: string;
  /** Number of the last change, as text: it has more digits than a score shows. */
  readonly seq: string;
  readonly mustReload: boolean;
  readonly changes: readonly { readonly seq: string; readonly entry: RevocationEntry }[];
}

/** @throws TypeError for an answer that is not one of `news` */
export function readNews(answer: unknown): News {
  if (!Array.isArray(answer)) throw strange();
  const [epoch, seq, mustReload, ...changes]: unknown[] = answer;
  if (typeof epoch !== "string" || typeof seq !== "string") throw strange();
  return { epoch, seq, mustReload: mustReload === 1, changes: changes.map(readChange) };
}

/** @throws TypeError for an answer that is not one of `list` */
export function readList(kind: "t" | "s", answer: unknown): { cursor: string; entries: RevocationEntry[] } {
  if (!Array.isArray(answer)) throw strange();
  const [cursor, items]: unknown[] = answer;
  if (typeof cursor !== "string" || !Array.isArray(items)) throw strange();
  const entries: RevocationEntry[] = [];
  for (let index = 0; index + 1 < items.length; index += 2) {
    const [name, value]: unknown[] = [items[index], items[index + 1]];
    if (typeof name !== "string" || typeof value !== "string") throw strange();
    const [untilMs = "0", expiresMs = ""] = kind === "t" ? ["0", value] : value.split(" ");
    entries.push({ kind, name: readName(name), untilMs: readNumber(untilMs), expiresMs: readNumber(expiresMs) });
  }
  return { cursor, entries };
}

function readChange(text: unknown): News["changes"][number] {
  const parts = typeof text === "string" ? /^(\d+):([ts]):([^:]*):([^:]*):(.*)$/s.exec(text) : null;
  if (parts === null) throw strange();
  const [, seq = "", kind, untilMs = "", expiresMs = "", name = ""] = parts;
  const entry: RevocationEntry = {
    kind: kind === "t" ? "t" : "s",
    name: readName(name),
    untilMs: readNumber(untilMs),
    expiresMs: readNumber(expiresMs),
  };
  return { seq, entry };
}

function readNumber(text: string): number {
  const value = text === "inf" ? Number.POSITIVE_INFINITY : Number(text);
  if (Number.isNaN(value)) throw strange();
  return value;
}

/** As JSON, since not every JavaScript string survives UTF-8: half a surrogate pair does not. */
function writeName(name: string): string {
  return JSON.stringify(name);
}

function readName(text: string): string {
  const name: unknown = JSON.parse(text);
  if (typeof name !== "string") throw strange();
  return name;
}

function strange(): TypeError {
  return new TypeError("Redis answered with something that is no list of revocations");
}
