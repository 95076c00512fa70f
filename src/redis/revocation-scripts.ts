import { defineScript, WITH_TIME } from "./script.js";

/** Changes that are kept for those who ask what is new; who is further behind loads the whole list. */
const LOG_LENGTH = 10_000;
/** Who fills the list must go on within this time, in milliseconds, or another does. */
const FILL_LEASE_MS = 1000;
/** So long an empty list waits for a process that knows what it held, */
const WAIT_MS = 1000;
/** and half of that for one that knows for sure. */
const WAIT_FOR_BEST_MS = WAIT_MS / 2;
/** A server that runs for longer, in seconds, would have been found by all processes that follow it. */
const SETTLED_SECONDS = 5;
/** Entries are removed so long after their end, should the clocks of machine and server differ. */
export const GRACE_MS = 60_000;
/** What was removed is forgotten so long after the last process has asked. */
const DAY_MS = 86_400_000;

/**
 * Common to the scripts below.
 *
 * KEYS: 1 state (hash: epoch, seq, floor; whole, begun, filler, fillerUntil, filled), 2 tokens (id -> score: until when, in ms), 3 subjects
 * (hash: "<refused until, ms> <remembered until, ms>"), 4 the subjects by until when they are
 * remembered, 5 the log of changes ("<number>:<kind>:<until>:<expires>:<name>" by number).
 *
 * Changes are numbered by the server's time in microseconds, made unique: a server that lost its last
 * seconds does not give a number twice.
 *
 * A server that comes back without what it had begins a new epoch, in which the list is not whole until
 * one of the processes, the filler, has told it what they know. Those that know it all go on meanwhile, and
 * follow the log; those that do not know wait. Where no process knows anything the list is whole as it is, a
 * second later.
 */
const PRELUDE = `${WITH_TIME}
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

-- From now on, or from whenever a server that runs for long would have been found.
local function lose(epoch)
  local said = redis.pcall('INFO', 'server')
  local seconds = type(said) == 'string' and tonumber(string.match(said, 'uptime_in_seconds:(%d+)')) or 0
  local begun = now
  if seconds > ${SETTLED_SECONDS} then begun = now - ${WAIT_MS} end
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'whole', '0', 'begun', whole(begun), 'fillerUntil', '0', 'filled', '0')
  redis.call('HDEL', KEYS[1], 'filler')
end

local function begin(epoch)
  redis.call('DEL', KEYS[5])
  redis.call('HSET', KEYS[1], 'seq', '0', 'floor', '0')
  lose(epoch)
end

-- The log is needed only while processes ask for it.
local function keepLog()
  redis.call('PEXPIRE', KEYS[1], ${DAY_MS})
  redis.call('PEXPIRE', KEYS[5], ${DAY_MS})
end
`;

const ADDING = `
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

local function expireAll()
  expireWithLast(KEYS[2], KEYS[2])
  expireWithLast(KEYS[3], KEYS[4])
  expireWithLast(KEYS[4], KEYS[4])
end
`;

/**
 * Adds entries, and notes those that are news in the log.
 *
 * ARGV: 1 a new epoch, should there be none; then four for each entry: kind, name, until, expires.
 *
 * @returns how many were news
 */
const ADD = defineScript(`${PRELUDE}${ADDING}
if redis.call('HEXISTS', KEYS[1], 'epoch') == 0 then begin(ARGV[1]) end
local seq = number(redis.call('HGET', KEYS[1], 'seq'))
local stamp = time[1] * 1000000 + time[2]
local news = 0
for i = 2, #ARGV, 4 do
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
expireAll()
keepLog()
return news
`);

/**
 * Tells what is new, and whether the list is whole.
 *
 * ARGV: 1 a new epoch, should there be none or the old one be over; 2 the epoch that is known; 3 the
 * number of the last change that is known; 4 how many changes to tell at most; 5 who asks; 6 whether he can
 * fill the list: `1` for sure, `2` as far as he knows, `0` not.
 *
 * @returns epoch; number of the last change; number up to which the log is cut; 1 when what is new cannot be
 * told by changes; `whole`, `fill` (by who asks) or `wait`; how many parts are filled; changes
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

local isBehind = epoch ~= ARGV[2] or number(ARGV[3]) < number(floor)
-- The change that was seen last must still be there. If not, the server has lost what it once said (an
-- older snapshot, a replica that took over): a new epoch asks all processes for what they know.
if not isBehind and number(ARGV[3]) > number(floor) and redis.call('ZCOUNT', KEYS[5], ARGV[3], ARGV[3]) == 0 then
  epoch, isBehind = ARGV[1], true
  lose(epoch)
end

local function phase()
  local fill = redis.call('HMGET', KEYS[1], 'whole', 'filler', 'fillerUntil', 'filled', 'begun')
  local filled = fill[4] or '0'
  -- A list of an older version says nothing.
  if fill[1] ~= '0' then return 'whole', filled end
  local untilMs, begun = number(fill[3] or '0'), number(fill[5] or '0')
  if fill[2] == ARGV[5] then return 'fill', filled end
  if untilMs > now then return 'wait', filled end
  local waited = now - math.max(untilMs, begun)
  if ARGV[6] == '1' or (ARGV[6] == '2' and waited >= ${WAIT_FOR_BEST_MS}) then
    redis.call('HSET', KEYS[1], 'filler', ARGV[5], 'fillerUntil', whole(now + ${FILL_LEASE_MS}))
    return 'fill', filled
  end
  if ARGV[6] == '0' and waited >= ${WAIT_MS} then
    redis.call('HSET', KEYS[1], 'whole', '1')
    return 'whole', filled
  end
  return 'wait', filled
end

local name, filled = phase()
if isBehind then return {epoch, seq, floor, 1, name, filled} end
local changes = redis.call('ZRANGEBYSCORE', KEYS[5], '(' .. ARGV[3], '+inf', 'LIMIT', 0, ARGV[4])
return {epoch, seq, floor, 0, name, filled, unpack(changes)}
`);

/**
 * Fills the list with a part of what was known before the epoch: no news for those who knew it.
 *
 * ARGV: 1 the epoch; 2 the filler; 3 how many parts are filled with this; 4 whether that is all; 5 the number
 * of tokens; two for each of them: expires, name; then four for each subject, as for `add`.
 *
 * @returns 1, or 0 when it is another's turn
 */
const FILL = defineScript(`${PRELUDE}${ADDING}
local state = redis.call('HMGET', KEYS[1], 'epoch', 'filler', 'whole')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2] or state[3] ~= '0' then return 0 end
local last = 5 + 2 * number(ARGV[5])
if last > 5 then redis.call('ZADD', KEYS[2], 'GT', unpack(ARGV, 6, last)) end
for i = last + 1, #ARGV, 4 do addSubject(ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) end
expireAll()
redis.call('HSET', KEYS[1], 'filled', ARGV[3], 'fillerUntil', whole(now + ${FILL_LEASE_MS}), 'whole', ARGV[4])
keepLog()
return 1
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

export const REVOCATION_SCRIPTS = Object.freeze({ add: ADD, news: NEWS, list: LIST, fill: FILL });

/** The keys of the scripts, all in one slot of a Cluster. */
export function revocationKeys(prefix: string): readonly string[] {
  return ["state", "tokens", "subjects", "expiry", "log"].map((part) => `${prefix}:revocation:{r}:${part}`);
}
