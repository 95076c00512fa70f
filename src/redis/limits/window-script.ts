import { defineLimitScript } from "./script-frame.js";

/**
 * Sliding windows. A key's state is a list of what was taken, oldest first: "stamp:before:cost", that is
 * the microsecond, the units taken before it since the list began, and its own. The units in use are the
 * difference of the last and the first entry, whatever the length of the list. Leases stand behind the
 * last entry. A key that is not there is unused.
 *
 * Leased units count from when they are granted. When they are reported, what was used counts as taken
 * then, which is after it was; when they are not, as taken when the lease expires, after which they
 * cannot be used.
 */
export const WINDOW_SCRIPT = defineLimitScript(`
local function readPolicy()
  return { requests = number(), window = number() }
end

-- Entries that are looked at together at the beginning of a list.
local LOOKED_AT = 4

local function parse(entry)
  local stamp, before, cost, written = string.match(entry, "^(%d+):(%d+):(%d+)(.*)$")
  return { stamp = tonumber(stamp), before = tonumber(before), cost = tonumber(cost), written = written }
end

-- The first place from \`from\` on whose entry fulfils a condition that all later ones fulfil too.
-- Steps double, then the last one is halved: what is looked for is mostly near the beginning.
local function search(key, from, length, fulfils)
  local low, high, step = from - 1, length, 1
  while low + step < length do
    if fulfils(parse(redis.call("LINDEX", key, low + step))) then
      high = low + step
      break
    end
    low = low + step
    step = step * 2
  end
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if fulfils(parse(redis.call("LINDEX", key, middle))) then high = middle else low = middle end
  end
  return high
end

-- Adds units to what is written at the end. Stamps never become smaller.
local function add(state, stamp, units)
  local last = state.fresh[#state.fresh]
  if last and last.stamp == stamp then
    last.cost = last.cost + units
  else
    state.fresh[#state.fresh + 1] = { stamp = stamp, cost = units }
  end
  state.added = state.added + units
end

local function readExpired(state, policy)
  local leases = state.leases
  while leases[1] and leases[1].expiry <= state.now do
    local lease = table.remove(leases, 1)
    state.held = state.held - lease.units
    if lease.expiry + policy.window > state.now then add(state, lease.expiry, lease.units) end
  end
end

-- Finds the first entry that still counts, mostly one of the first few.
local function dropExpired(state, counts)
  for index, entry in ipairs(redis.call("LRANGE", state.key, 0, LOOKED_AT - 1)) do
    local first = parse(entry)
    if counts(first) then
      state.dropped, state.first, state.start = index - 1, first, first.before
      return
    end
  end
  state.dropped = search(state.key, LOOKED_AT, redis.call("LLEN", state.key), counts)
  state.first = parse(redis.call("LINDEX", state.key, state.dropped))
  state.start = state.first.before
end

local function load(key, policy)
  -- first and tail: the first and the last entry that still count. dropped: entries that no longer count.
  -- start: units before the first.
  local state = { key = key, now = micros, dropped = 0, start = 0, fresh = {}, added = 0, held = 0, leases = {} }
  local last = redis.call("LINDEX", key, -1)
  if not last then return state end
  local tail = parse(last)
  if tail.stamp > state.now then
    -- The server's clock was set back. Time stands still until it is there again; when that would take
    -- longer than a window, the key begins anew.
    if tail.stamp - state.now > policy.window then
      state.dropped = redis.call("LLEN", key)
      return state
    end
    state.now = tail.stamp
  end
  state.leases, state.held = readLeases(tail.written)
  local function counts(entry) return entry.stamp + policy.window > state.now end
  if counts(tail) then
    state.tail = tail
    dropExpired(state, counts)
  else
    state.dropped = redis.call("LLEN", key)
  end
  readExpired(state, policy)
  return state
end

local function total(state)
  return state.tail and state.tail.before + state.tail.cost or 0
end

local function used(state)
  return total(state) - state.start + state.added + state.held
end

-- Before the first change: the list is what counts, and nothing else.
local function change(state)
  state.isChanged = true
  if state.dropped > 0 then redis.call("LTRIM", state.key, state.dropped, -1) end
  state.dropped = 0
end

local function encode(stamp, before, cost, written)
  return string.format("%.0f:%.0f:%.0f%s", stamp, before, cost, written)
end

local function save(key, state, policy)
  local tail, fresh, written = state.tail, state.fresh, writeLeases(state.leases)
  if not tail and #fresh == 0 then
    if written == "" then return end
    fresh[1] = { stamp = state.now, cost = 0 }
  end
  if tail then
    local isWider = fresh[1] and fresh[1].stamp == tail.stamp
    if isWider then tail.cost = tail.cost + table.remove(fresh, 1).cost end
    local behind = #fresh == 0 and written or ""
    if isWider or behind ~= tail.written then
      redis.call("LSET", key, -1, encode(tail.stamp, tail.before, tail.cost, behind))
    end
  end
  local before = total(state)
  for index, entry in ipairs(fresh) do
    redis.call("RPUSH", key, encode(entry.stamp, before, entry.cost, index == #fresh and written or ""))
    before = before + entry.cost
  end
  redis.call("PEXPIRE", key, whole(math.ceil((policy.window + heldFor(state)) / 1000) + 1))
end

-- How long until nothing is in use any more.
local function untilUnused(state, policy)
  if used(state) == 0 then return 0 end
  local newest = state.fresh[#state.fresh] or state.tail
  local latest = newest and newest.stamp or state.now
  if state.leases[1] then latest = math.max(latest, state.now + heldFor(state)) end
  return latest + policy.window - state.now
end

-- How long until so many units are free again.
local function untilFree(state, policy, units)
  if units > used(state) then return policy.window end
  local sum = total(state) - state.start
  if sum >= units then
    if state.first.cost >= units then return state.first.stamp + policy.window - state.now end
    local function frees(entry) return entry.before + entry.cost - state.start >= units end
    local place = search(state.key, state.dropped, redis.call("LLEN", state.key), frees)
    return parse(redis.call("LINDEX", state.key, place)).stamp + policy.window - state.now
  end
  for _, entry in ipairs(state.fresh) do
    sum = sum + entry.cost
    if sum >= units then return entry.stamp + policy.window - state.now end
  end
  for _, lease in ipairs(state.leases) do
    sum = sum + lease.units
    if sum >= units then return lease.expiry + policy.window - state.now end
  end
  return policy.window
end

-- How long until one unit more is free.
local function untilMore(state, policy)
  return used(state) == 0 and 0 or untilFree(state, policy, 1)
end

-- How many of \`count\` requests of this cost fit.
local function fitting(state, policy, cost, count)
  if cost == 0 then return count end
  return math.max(0, math.min(count, math.floor((policy.requests - used(state)) / cost)))
end

local function tell(state, policy, allowed, before, wait)
  answer(allowed)
  answer(before)
  answer(wait)
  answer(untilUnused(state, policy))
  answer(heldFor(state))
  answer(untilMore(state, policy))
end

function operations.take(state, policy)
  local cost, count = number(), number()
  local before = used(state)
  local allowed = fitting(state, policy, cost, count)
  if allowed * cost > 0 then
    change(state)
    add(state, state.now, allowed * cost)
  end
  local wait = allowed < count and untilFree(state, policy, used(state) + cost - policy.requests) or 0
  tell(state, policy, allowed, before, wait)
end

-- Takes whether it fits or not; a key owes at most another quota.
function operations.charge(state, policy)
  local cost, before = number(), used(state)
  local fits = cost == 0 or before + cost <= policy.requests
  local taken = math.min(cost, 2 * policy.requests - before)
  if taken > 0 then
    change(state)
    add(state, state.now, taken)
  end
  local wait = fits and 0 or untilFree(state, policy, used(state) + 1 - policy.requests)
  tell(state, policy, fits and 1 or 0, used(state), wait)
end

function operations.peek(state, policy)
  local cost, count = number(), number()
  local allowed = fitting(state, policy, cost, count)
  local wait = allowed < count and untilFree(state, policy, used(state) + cost - policy.requests) or 0
  tell(state, policy, allowed, used(state), wait)
end

-- Takes back the newest units, first those that are not written yet.
local function takeBack(state, units)
  local fresh = state.fresh
  while units > 0 and #fresh > 0 do
    local last = fresh[#fresh]
    local some = math.min(units, last.cost)
    last.cost = last.cost - some
    state.added = state.added - some
    units = units - some
    if last.cost == 0 then table.remove(fresh) end
  end
  while units > 0 and state.tail do
    local tail = state.tail
    if tail.cost > units then
      tail.cost = tail.cost - units
      -- Written anew with the leases by save.
      tail.written = nil
      return
    end
    units = units - tail.cost
    redis.call("RPOP", state.key)
    local last = redis.call("LINDEX", state.key, -1)
    state.tail = last and parse(last)
    if not last then state.start = 0 end
  end
end

function operations.give(state, policy)
  change(state)
  takeBack(state, number())
  tell(state, policy, 1, used(state), 0)
end

function operations.reset(state)
  redis.call("DEL", state.key)
  state.tail, state.start, state.dropped, state.fresh, state.added = nil, 0, 0, {}, 0
  state.isChanged = true
end

function operations.report(state)
  local id, unused = text(), number()
  local lease = takeLease(state.leases, id)
  if not lease then return end
  change(state)
  state.held = state.held - lease.units
  if lease.units > unused then add(state, state.now, lease.units - unused) end
end

function operations.lease(state, policy)
  local id, wanted, least, divisor, life, price = text(), number(), number(), number(), number(), number()
  local granted = math.floor(fitting(state, policy, price, wanted * divisor) / divisor)
  if granted < least then
    granted = 0
  else
    change(state)
    state.held = state.held + granted
    state.leases[#state.leases + 1] = { id = id, units = granted, expiry = state.now + life }
  end
  tell(state, policy, granted, used(state), 0)
end
`);
