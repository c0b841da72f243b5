-- A lease call: what it was asked, what it has given, and what it answers. `lease.lua` tells the arguments.
local epoch, now, limit, manual = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local per_endpoint, per_tenant, expiry, nonce = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local ROOMS = 10 -- the first room
local THROTTLES = ROOMS + 2 * tonumber(ARGV[9]) -- the first throttle
local IN_VAIN = 1000 -- endpoints and requests that a call looks at for nothing

local state = call('HMGET', STATE, 'epoch', 'owner', 'lease', 'turn', 'nonce', 'nonce_from')
-- Numbers follow the clock, so that one that a crash of Redis made it forget is not given again.
local number, turn = math.max(tonumber(state[3] or '0'), now * 64), tonumber(state[4] or '0')
local first, last_turn = number + 1, turn
local last_place = now * TURNS + TURNS - 1 -- of those whose turn can begin now

-- How many it looked at in vain, and whether it ended for that before it had looked at everybody.
local in_vain, unseen = 0, false
-- The endpoint that it brought a step further in becoming ordered, or ceasing to be.
local rearranged

-- Whether it has to end because it looked at enough in vain.
local function is_tired()
  unseen = unseen or in_vain >= IN_VAIN
  return unseen
end

-- Throttles say how things are, so that it does no harm to say it again.
local function note_throttles()
  for at = THROTTLES, #ARGV, 4 do
    local endpoint, key = ARGV[at + 1], endpoint_of(ARGV[at + 1])
    local tenant, owner = call('ZSCORE', K .. ':tenants', ARGV[at]), call('HGET', key, 't')
    if tenant and owner and tonumber(tenant) == tonumber(owner) then
      for field, value in pairs({ b = ARGV[at + 2], a = ARGV[at + 3] }) do
        if value == '' then
          call('HDEL', key, field)
        else
          call('HSET', key, field, value)
        end
      end
      if ARGV[at + 2] == '' and ARGV[at + 3] == '' then
        call('ZREM', THROTTLED, endpoint)
      else
        call('ZADD', THROTTLED, whole(epoch), endpoint)
      end
      reposition(endpoint, now)
    end
  end
end

-- When the next turn can begin; now, if something due was left.
local function next_turn()
  if call('EXISTS', ASKED) == 1 then return whole(now) end
  local head = call('ZRANGE', READY, 0, 0, 'WITHSCORES')
  return head[1] and whole(math.max(math.floor(tonumber(head[2]) / TURNS), now)) or ''
end

local function turn_head(answer, endpoint, shown)
  shown = shown or call('HMGET', endpoint_of(endpoint), 'r', 'k', 'h')
  answer[#answer + 1] = endpoint
  answer[#answer + 1] = shown[1] or ''
  answer[#answer + 1] = shown[2] or ''
  answer[#answer + 1] = shown[3] or ''
  answer[#answer + 1] = 0
  return #answer
end

local function add_lease(answer, field, due, slot)
  answer[#answer + 1] = field
  answer[#answer + 1] = due
  answer[#answer + 1] = slot and slot.attempts or 0
  answer[#answer + 1] = slot and slot.failures or 0
end

local answer = { '', 0, whole(first) }
