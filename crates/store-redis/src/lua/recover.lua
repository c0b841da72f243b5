-- Gives back what older epochs, and leases that ran out, left behind, and lifts what older epochs throttled, up to a
-- limit of each.
--
-- ARGV  channel, epoch, now, limit, code of the error class of an interrupted attempt, such an attempt without its id,
--       a manual one
-- Gives nil to whoever is not the owner, or {how many were given back, 1 if there are more}
local epoch, now, limit = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local error, automatic, manual = tonumber(ARGV[5]), ARGV[6], ARGV[7]
if owner_epoch() ~= epoch then return false end

local due = false
local throttled = call('ZRANGEBYSCORE', THROTTLED, '-inf', '(' .. whole(epoch), 'LIMIT', 0, limit)
for _, endpoint in ipairs(throttled) do
  call('ZREM', THROTTLED, endpoint)
  if call('HDEL', endpoint_of(endpoint), 'b', 'a') > 0 then
    reposition(endpoint, now)
    due = true
  end
end

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

-- Records the attempt that a lease may have made, and lets an automatic one wait to be made again. Gives how many
-- attempts were under way: what is attempted by hand may have been removed.
local function give_back(field, lease)
  local event, n = split(field)
  local of, number = unpack_bytes('>I6I6', lease)
  local flags, endpoint = string.byte(lease, 25), string.sub(lease, 26, 41)
  local again = kind_of(field) == AUTOMATIC
  call('HDEL', LEASES, field)
  if again and flags >= IN_ORDER then end_in_order(endpoint) end
  local count = fan_out(event)
  -- Redis may have been cut back to a moment before the event was there.
  if count then
    local name = string.sub(field, 1, 14)
    local slot = read_slot(event, n)
    counted(slot)
    note(slot, 0, error)
    local closing = false
    if again then
      local shown = call('HMGET', endpoint_of(endpoint), 's', 'k', 'b', 'z', 'y')
      closing = not shown[1] or shown[1] == DISABLED
      if closing then
        slot.state, slot.completed = shown[1] and SKIPPED or CANCELLED, now
      elseif put_back(name, lease, endpoint, shown, now, true, now) then
        due = true
      end
    end
    local attempt = attempt_id(of, number) .. (again and automatic or manual)
    write_record(event, n, count, slot, frame_of(n, attempt), closing)
    if not again then mark_tried(name, endpoint) end
  end
  if again and flags >= IN_ORDER then
    reposition(endpoint, now)
    due = true
  end
  return (count or again) and 1 or 0
end

-- Records the attempt that a lease may have made which had ended before: nothing else of its delivery changes.
local function record_ended(field, lease)
  local event, n = split(field)
  local of, number = unpack_bytes('>I6I6', lease)
  call('HDEL', LEASES, field)
  local count = fan_out(event)
  if not count then return end
  local slot = read_slot(event, n)
  counted(slot)
  write_record(event, n, count, slot, frame_of(n, attempt_id(of, number) .. automatic), false)
  -- It may have been opened again.
  if slot.state == 0 then mark_tried(string.sub(field, 1, 14), string.sub(lease, 26, 41)) end
end

local given_back, left_behind, more = 0, 0, #throttled == limit and 1 or 0
local alive = {}
local all = call('HGETALL', LEASES)
-- What was asked for by hand comes after what came by itself.
for _, kind in ipairs({ AUTOMATIC, ENDED, MANUAL }) do
  for i = 1, #all, 2 do
    local field, lease = all[i], all[i + 1]
    if kind_of(field) == kind then
      local of, _, expiry = unpack_bytes('>I6I6I6', lease)
      alive[of] = true
      if expiry <= now or (of < epoch and not is_spared(of)) then
        if left_behind == limit then
          more = 1
          break
        end
        left_behind = left_behind + 1
        if kind == ENDED then
          record_ended(field, lease)
        else
          given_back = given_back + give_back(field, lease)
        end
      end
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
