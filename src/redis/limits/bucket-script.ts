import { defineLimitScript } from "./script-frame.js";

/**
 * Token buckets. A key's state is "debt at base": what is missing to a full bucket, the tick at which
 * that was so, and the debt that the bucket of the unreduced limit had (adaptive limits only, else 0).
 *
 * A debt is counted in units of a tick divided by the limit, so that a token is a whole number of them,
 * refill is `requests` units a tick, and nothing is ever rounded. A key that is not there is full. Keys of
 * adaptive limits are kept for a window more, since a reduced limit grants a key that is new no burst.
 *
 * The bucket never fills above what is held in leases: these tokens may be used at any moment, beside
 * all that the bucket has. So what was admitted can never be more than a bucket without leases admits.
 */
export const BUCKET_SCRIPT = defineLimitScript(`
local function readPolicy()
  return { requests = number(), window = number(), tick = number(), isAdaptive = number() == 1 }
end

local function unused(now)
  return { now = now, debt = 0, base = 0, held = 0, leases = {}, isNew = true }
end

local function load(key, policy)
  local now = math.floor(micros / policy.tick)
  local value = redis.call("GET", key)
  if not value then return unused(now) end
  local debt, at, base, written = string.match(value, "^(%d+) (%d+) (%d+)(.*)$")
  local rate = policy.requests
  local since = tonumber(at)
  if since > now then
    -- The server's clock was set back. Time stands still until it is there again; when that would take
    -- longer than a window, the key begins anew.
    if (since - now) * rate > policy.window then return unused(now) end
    now = since
  end
  local refilled = (now - since) * rate
  local level = math.max(0, debt - refilled)
  local leases, held = readLeases(written)
  -- A lease that has expired held the level up until then, and from then on the bucket fills.
  while leases[1] and leases[1].expiry <= now do
    level = math.max(level, held - (now - leases[1].expiry) * rate)
    held = held - table.remove(leases, 1).units
  end
  level = math.max(level, held)
  if level == 0 and refilled - debt >= policy.window then return unused(now) end
  local unreduced = math.max(0, base - refilled)
  return { now = now, debt = level, base = unreduced, held = held, leases = leases }
end

local function save(key, state, policy)
  if state.debt <= 0 and state.held <= 0 and not policy.isAdaptive then
    redis.call("DEL", key)
    return
  end
  local ticks = state.debt / policy.requests + heldFor(state)
  if policy.isAdaptive then ticks = ticks + policy.window / policy.requests end
  local value = string.format("%.0f %.0f %.0f%s", state.debt, state.now, state.base, writeLeases(state.leases))
  redis.call("SET", key, value, "PX", whole(math.ceil(ticks * policy.tick / 1000) + 1))
end

-- How many of \`count\` requests of this price fit.
local function fitting(debt, window, price, count)
  if price == 0 then return count end
  return math.max(0, math.min(count, math.floor((window - debt) / price)))
end

-- What is asked for, at what price, and what the key owes at least while the limit is reduced.
local function readPrice(state)
  local price, basePrice, leastKnown, leastNew = number(), number(), number(), number()
  return price, basePrice, state.isNew and leastNew or leastKnown
end

local function tell(state, owed, allowed, unreduced)
  answer(allowed)
  answer(owed)
  answer(unreduced)
  answer(heldFor(state))
end

local function decide(state, policy, price, basePrice, least, count)
  local owed = math.max(state.debt, least)
  -- A request that costs more than the whole limit never fits, although its price is at most a window.
  local allowed = basePrice > policy.window and 0 or fitting(owed, policy.window, price, count)
  local unreduced = policy.isAdaptive and fitting(state.base, policy.window, basePrice, count) or 0
  tell(state, owed, allowed, unreduced)
  return owed, allowed, unreduced
end

function operations.take(state, policy)
  local price, basePrice, least = readPrice(state)
  local owed, allowed, unreduced = decide(state, policy, price, basePrice, least, number())
  -- What only the unreduced limit would admit does not make a key known.
  if price == 0 or allowed == 0 and (unreduced == 0 or state.isNew) then return end
  if allowed > 0 then state.debt = owed + allowed * price end
  state.base = state.base + unreduced * basePrice
  state.isNew = false
  state.isChanged = true
end

-- Takes whether it fits or not; a key owes at most another quota.
function operations.charge(state, policy)
  local price, basePrice, mayFit = number(), number(), number() == 1
  local _, _, least = readPrice(state)
  local owed = math.max(state.debt, least)
  local fits = mayFit and owed + price <= policy.window
  local unreduced = policy.isAdaptive and state.base + basePrice <= policy.window
  if price > 0 then
    owed = math.max(owed, math.min(owed + price, 2 * policy.window))
    state.debt = owed
    if policy.isAdaptive then state.base = math.min(state.base + basePrice, 2 * policy.window) end
    state.isNew = false
    state.isChanged = true
  end
  tell(state, owed, (fits or price == 0) and 1 or 0, unreduced and 1 or 0)
end

function operations.peek(state, policy)
  local price, basePrice, least = readPrice(state)
  decide(state, policy, price, basePrice, least, number())
end

function operations.give(state, policy)
  local price, basePrice, least = readPrice(state)
  if state.debt > 0 then
    state.debt = math.max(state.held, state.debt - price)
    state.base = math.max(0, state.base - basePrice)
    state.isChanged = true
  end
  tell(state, math.max(state.debt, least), 1, 0)
end

function operations.reset(state)
  if state.isNew then return end
  state.debt, state.base = state.held, 0
  state.isChanged = true
end

function operations.report(state)
  local id, unused, baseUnused = text(), number(), number()
  local lease = takeLease(state.leases, id)
  if not lease then return end
  state.held = state.held - lease.units
  state.debt = math.max(state.held, state.debt - unused)
  state.base = math.max(0, state.base - baseUnused)
  state.isChanged = true
end

function operations.lease(state, policy)
  local id, wanted, fewest, divisor, life = text(), number(), number(), number(), number()
  local price, basePrice, least = readPrice(state)
  local owed = math.max(state.debt, least)
  local granted = math.floor(fitting(owed, policy.window, price, wanted * divisor) / divisor)
  if granted < fewest then
    granted = 0
  else
    owed = owed + granted * price
    state.debt = owed
    state.base = policy.isAdaptive and math.min(policy.window, state.base + granted * basePrice) or 0
    state.held = state.held + granted * price
    state.leases[#state.leases + 1] = { id = id, units = granted * price, expiry = state.now + life }
    state.isChanged = true
  end
  tell(state, owed, granted, 0)
end
`);
