-- Names of the partition's keys; `src/layout.rs` tells what each holds. KEYS[1] is what they all begin with, and holds
-- the hash tag: every key of a partition lies in one slot. Keys are composed here, and not passed in, because which of
-- them a call needs is known to the partition alone.
local K = KEYS[1]
local STATE = K .. ':s'
local READY = K .. ':y'
local LEASES = K .. ':l'
local CLOSINGS = K .. ':c'
local THROTTLED = K .. ':b'
local ASKED = K .. ':m'
local NOTICES = K .. ':o'
local PERIODS = K .. ':k'
local KEPT = K .. ':x'
local REPLAYS = K .. ':j'
local RUNNING = K .. ':running'
local PLACES = K .. ':places'
local API_KEYS = K .. ':api_keys'
local AUDIT = K .. ':audit'
local AUDIT_ORDER = K .. ':audit:' -- and by whom

local call = redis.call
local pack, unpack_bytes = struct.pack, struct.unpack

local ENABLED, PAUSED, DISABLED = '0', '1', '2'
-- What a delivery came to; cancelled because its endpoint was deleted, or given up by an operator.
local DELIVERED, EXHAUSTED, SKIPPED, CANCELLED, GIVEN_UP = 1, 2, 3, 4, 5

-- Numbers beyond 2^47 lose digits when Lua makes text of them by itself.
local function whole(number)
  return string.format('%.0f', number)
end

-- How a queue and a lease name a delivery: ten digits of the event's number, four of its place in the fan-out. Text of
-- one length sorts as its numbers do, which is what keeps deliveries of one millisecond in the order of acceptance.
local function member(event, n)
  return event .. string.format('%04x', n)
end

local function split(name)
  return string.sub(name, 1, 10), tonumber(string.sub(name, 11, 14), 16)
end

-- An endpoint's hash; `common/endpoints.lua` tells its fields.
local function endpoint_of(endpoint)
  return K .. ':p:' .. endpoint
end

local function replay_of(replay)
  return K .. ':j:r' .. replay
end

-- The number of the current owner's epoch; nil when nobody owns the partition.
local function owner_epoch()
  local state = call('HMGET', STATE, 'epoch', 'owner')
  return state[2] and tonumber(state[1])
end

-- Lets the owner know, wherever it is, if it waits for something to become due.
local function wake(channel)
  if call('HDEL', STATE, 'asleep') == 1 then
    call('PUBLISH', channel, string.match(K, '{(%d+)}$'))
  end
end

-- The next of a row of numbers, kept in a hash. It follows the server's clock, so that one that a crash of Redis made it
-- forget is not given again: somebody may still know it.
local function clocked(key, field)
  local time = call('TIME')
  local last = tonumber(call('HGET', key, field) or '0')
  local number = math.max(last + 1, time[1] * 1000 + math.floor(time[2] / 1000))
  call('HSET', key, field, whole(number))
  return number
end

-- A number that nothing else of the partition has, growing.
local function ordinal()
  return clocked(STATE, 'ordinal')
end
