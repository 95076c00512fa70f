import { defineScript, type Script } from "../script.js";

/**
 * What both scripts of limits begin with: reading arguments, the server's time, and leases.
 *
 * ARGV is flat: the number of policies and the figures of each; then, for each row of KEYS of
 * which the same is wanted: how many they are, the number of their policy, how many operations follow, and
 * these, each a name and its arguments. The reply is the flat
 * list of whole numbers that the operations answer.
 *
 * A lease is units that a process holds to decide by itself. It stands behind a key's state as
 * ";id:units:expiry". What is held counts as taken until it is reported, or until it has expired.
 */
const BEGINNING = `
-- Locals are found faster than globals.
local math, string, table, redis = math, string, table, redis
local tonumber, ipairs, KEYS, ARGV = tonumber, ipairs, KEYS, ARGV

local place = 0
local function text()
  place = place + 1
  return ARGV[place]
end
local numbers = {}
local function number()
  place = place + 1
  local value = numbers[place]
  if not value then
    value = tonumber(ARGV[place])
    numbers[place] = value
  end
  return value
end

-- The answer: a flat list.
local answers, count = {}, 0
local function answer(value)
  count = count + 1
  answers[count] = value
end

-- Whole numbers in full: Lua would write large ones as 1.7e+15.
local function whole(value)
  return string.format("%.0f", value)
end

-- Read once: all decisions of a call happen at one moment.
local time = redis.call("TIME")
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function soonest(one, other)
  return one.expiry < other.expiry
end

-- Leases in the order of their expiry, and the units of all of them.
local function readLeases(written)
  local leases, held = {}, 0
  if written == "" then return leases, held end
  for id, units, expiry in string.gmatch(written, ";([^:]+):(%d+):(%d+)") do
    leases[#leases + 1] = { id = id, units = tonumber(units), expiry = tonumber(expiry) }
    held = held + tonumber(units)
  end
  table.sort(leases, soonest)
  return leases, held
end

local function writeLeases(leases)
  if not leases[1] then return "" end
  local written = {}
  for index, lease in ipairs(leases) do
    written[index] = ";" .. lease.id .. ":" .. whole(lease.units) .. ":" .. whole(lease.expiry)
  end
  return table.concat(written)
end

-- The lease of an id, taken out of the list; nil when it has expired.
local function takeLease(leases, id)
  for index, lease in ipairs(leases) do
    if lease.id == id then return table.remove(leases, index) end
  end
end

-- How long until nothing is held any more, should nobody report; 0 when nothing is held.
local function heldFor(state)
  local last = state.leases[#state.leases]
  return last and math.max(1, last.expiry - state.now) or 0
end

local operations = {}
`;

const END = `
local policies = {}
for index = 1, number() do policies[index] = readPolicy() end
local next = 1
while next <= #KEYS do
  local alike, policy = number(), policies[number()]
  local begin = place
  for index = next, next + alike - 1 do
    place = begin
    local key = KEYS[index]
    local state = load(key, policy)
    for _ = 1, number() do operations[text()](state, policy) end
    if state.isChanged then save(key, state, policy) end
  end
  next = next + alike
end
return answers
`;

/**
 * A script of limits.
 *
 * @param body Lua that defines `readPolicy`, `load`, `save` and the `operations`
 */
export function defineLimitScript(body: string): Script {
  return defineScript(`${BEGINNING}${body}${END}`);
}
