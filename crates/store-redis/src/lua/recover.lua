-- Gives back what older epochs, and leases that ran out, left behind, up to a limit.
--
-- ARGV  channel, epoch, now, limit, attempt without its id, code of its error class
-- Gives nil to whoever is not the owner, or {how many were given back, 1 if there are more}
local epoch, now, limit = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local rest, error = ARGV[5], tonumber(ARGV[6])
if owner_epoch() ~= epoch then return false end

-- Until when what a released epoch leased is left to whoever leased it.
local spared = {}
local function is_spared(of)
  if spared[of] == nil then spared[of] = tonumber(call('HGET', STATE, 'released:' .. whole(of)) or '0') end
  return now < spared[of]
end

-- The id of the attempt that the lease may have made: a UUID version 7 of the lease and of now.
local function attempt_id(of, number)
  return pack('>I6I2I2I6', now, 0x7000 + of % 4096, 0x8000 + math.floor(of / 4096) % 16384, number)
end

local given_back, more, due = 0, 0, false
local alive = {}
local all = call('HGETALL', LEASES)
for i = 1, #all, 2 do
  local name, lease = all[i], all[i + 1]
  local of, number, expiry = unpack_bytes('>I6I6I6', lease)
  alive[of] = true
  if expiry <= now or (of < epoch and not is_spared(of)) then
    if given_back == limit then
      more = 1
      break
    end
    given_back = given_back + 1
    call('HDEL', LEASES, name)
    local event, n = split(name)
    local count = fan_out(event)
    -- Redis may have been cut back to a moment before the event was there.
    if count then
      local endpoint = string.sub(lease, 26, 41)
      local slot = read_slot(event, n)
      slot.attempts, slot.error = math.min(slot.attempts + 1, 65535), error
      local shown = call('HMGET', endpoint_of(endpoint), 's', 'k')
      local closing = not shown[1] or shown[1] == DISABLED
      if closing then
        slot.state, slot.completed = shown[1] and SKIPPED or CANCELLED, now
      else
        call('ZADD', queue_of(endpoint), score(now, true), name)
        if shown[1] == ENABLED then
          ready_by(endpoint, now, tonumber(shown[2]), now)
          due = true
        end
      end
      write_record(event, n, count, slot, frame_of(n, attempt_id(of, number) .. rest), closing)
    end
  end
end
-- What was said of epochs that have no leases any more is forgotten.
if more == 0 then
  for _, field in ipairs(call('HKEYS', STATE)) do
    local of = tonumber(string.match(field, '^released:(%d+)$'))
    if of and not alive[of] then call('HDEL', STATE, field) end
  end
end
if due then wake(ARGV[1]) end
return { given_back, more }
