import { defineLimitScript } from "./script-frame.js";

/**
 * Token buckets. A key's state is "debt at base": what is missing to a full bucket, the tick at which
 * that was so, and the debt that the bucket of the unreduced limit had (adaptive limits only, else 0).
 *
 * A debt is counted in units of a tick divided by the limit, so that a token is a whole number of them,
 * refill is `requests` units a tick, and nothing is ever rounded. A key that is not there is full.
 *
 * The bucket never fills above what is held in leases: these tokens may be used at any moment, beside
 * all that the bucket has. So what was admitted can never be more than a bucket without leases admits.
 */
export const BUCKET_SCRIPT = defineLimitScript(`
local function readPolicy()
  return { requests = number(), window = number(), tick = number(), isAdaptive = number() == 1 }
end

local function load(key, policy)
  local now = math.floor(micros / policy.tick)
  local value = redis.call("GET", key)
  if not value then return { now = now, debt = 0, base = 0, held = 0, leases = {} } end
  local debt, at, base, written = string.match(value, "^(%d+) (%d+) (%d+)(.*)$")
  local rate = policy.requests
  local since = tonumber(at)
  if since > now then
    -- The server's clock was set back. Time stands still until it is there again; when that would take
    -- longer than a window, the key begins anew.
    if (since - now) * rate > policy.window then return { now = now, debt = 0, base = 0, held = 0, leases = {} } end
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
  local unreduced = level > 0 and math.max(0, base - refilled) or 0
  return { now = now, debt = level, base = unreduced, held = held, leases = leases }
end

local function save(key, state, policy)
  if state.debt <= 0 and state.held <= 0 then
    redis.call("DEL", key)
    return
  end
  local ticks = state.debt / policy.requests + heldFor(state)
  local value = string.format("%.0f %.0f %.0f%s", state.debt, state.now, state.base, writeLeases(state.leases))
  redis.call("SET", key, value, "PX", whole(math.ceil(ticks * policy.tick / 1000) + 1))
end

-- How many of \`count\` requests of this price fit.
local function fitting(debt, window, price, count)
  if price == 0 then return count end
  return math.max(0, math.min(count, math.floor((window - debt) / price)))
end

local function tell(state, allowed, unreduced)
  answer(allowed)
  answer(state.debt)
  answer(unreduced)
  answer(heldFor(state))
end

local function decide(state, policy, price, basePrice, count)
  -- A request that costs more than the whole limit never fits, although its price is at most a window.
  local allowed = basePrice > policy.window and 0 or fitting(state.debt, policy.window, price, count)
  local unreduced = policy.isAdaptive and fitting(state.base, policy.window, basePrice, count) or 0
  tell(state, allowed, unreduced)
  return allowed, unreduced
end

function operations.take(state, policy)
  local price, basePrice, count = number(), number(), number()
  local allowed, unreduced = decide(state, policy, price, basePrice, count)
  if price == 0 or allowed + unreduced == 0 then return end
  state.debt = state.debt + allowed * price
  state.base = state.base + unreduced * basePrice
  state.isChanged = true
end

function operations.peek(state, policy)
  decide(state, policy, number(), number(), number())
end

function operations.give(state, policy)
  local price, basePrice = number(), number()
  state.debt = math.max(state.held, state.debt - price)
  state.base = math.max(0, state.base - basePrice)
  state.isChanged = true
  tell(state, 1, 0)
end

function operations.reset(state)
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
  local id, wanted, least, divisor, life = text(), number(), number(), number(), number()
  local price, basePrice = number(), number()
  local granted = math.floor(fitting(state.debt, policy.window, price, wanted * divisor) / divisor)
  if granted < least then
    granted = 0
  else
    state.debt = state.debt + granted * price
    state.base = policy.isAdaptive and math.min(policy.window, state.base + granted * basePrice) or 0
    state.held = state.held + granted * price
    state.leases[#state.leases + 1] = { id = id, units = granted * price, expiry = state.now + life }
    state.isChanged = true
  end
  answer(granted)
  answer(state.debt)
end
`);
