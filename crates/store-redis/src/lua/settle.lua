-- Records attempts and what comes next.
--
-- ARGV  channel, then for each settlement
--         member, epoch, lease number, time of acceptance, attempt or '', its status or 0, its error code or 0,
--         decision, its time, effect, its time, its reason, now
--       decision: d delivered, x exhausted, s skipped, r retry, b back (release)
--       effect: '' none, p park until its time, g gone: disable
-- Gives a string of 1 (applied) and 0 (stale) for each.
--
-- Repeated, it finds no live lease and the attempt recorded, and changes nothing.
local FIELDS = 13
local answer, due = {}, false

local function note(slot, status, error)
  slot.error = error
  if status > 0 then slot.status = status end
end

local function counted(slot)
  slot.attempts = math.min(slot.attempts + 1, 65535)
end

-- The attempt of a lease that is not live any more: it happened, and changes no state.
local function record_late(name, accepted, attempt)
  local event, n = split(name)
  local count, when = fan_out(event)
  if not count or n >= count or when ~= accepted or is_recorded(event, n, count, attempt) then return end
  local slot = read_slot(event, n)
  local virgin = slot.attempts == 0 and slot.failures == 0
  counted(slot)
  write_record(event, n, count, slot, frame_of(n, attempt), false)
  if not virgin then return end
  -- Whoever has it in a queue must know that something is recorded of it now.
  local mark = function(key)
    local queued = call('ZSCORE', key, name)
    if queued and tonumber(queued) % 2 == 0 then call('ZADD', key, whole(tonumber(queued) + 1), name) end
  end
  local head = call('GETRANGE', K .. ':e:' .. event, 18, 18)
  local from = 19 + string.byte(head) + 16 * n
  mark(queue_of(call('GETRANGE', K .. ':e:' .. event, from, from + 15)))
  local lease = call('HGET', LEASES, name)
  if lease then call('HSET', LEASES, name, string.sub(lease, 1, 24) .. '\1' .. string.sub(lease, 26)) end
end

-- What an attempt means for the whole endpoint.
local function take_effect(effect, endpoint, time, reason, now)
  local key = endpoint_of(endpoint)
  local shown = call('HMGET', key, 's', 'k', 't')
  if not shown[1] then return end
  if effect == 'p' then
    local parked = math.max(tonumber(shown[2]) or 0, time)
    call('HSET', key, 'k', whole(parked))
    reposition(endpoint, shown[1], parked)
  elseif shown[1] ~= DISABLED then
    call('HSET', key, 's', DISABLED, 'w', reason, 'u', whole(now), 'r', ordinal())
    call('HINCRBY', key, 'v', 1)
    close_queue(endpoint, SKIPPED, now)
    touch(shown[3])
  end
end

for at = 2, #ARGV, FIELDS do
  local name, epoch, number, accepted = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local attempt, status, error = ARGV[at + 4], tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local decision, time = ARGV[at + 7], tonumber(ARGV[at + 8])
  local effect, effect_time, reason, now = ARGV[at + 9], tonumber(ARGV[at + 10]), ARGV[at + 11], tonumber(ARGV[at + 12])
  local lease = call('HGET', LEASES, name)
  local of, own, tried, endpoint
  if lease then
    of, own = unpack_bytes('>I6I6', lease)
    tried, endpoint = string.byte(lease, 25) == 1, string.sub(lease, 26, 41)
  end
  local event, n = split(name)
  -- No event: Redis was cut back to a moment before it was there. An event of another time: its number was given again
  -- since. A time of 0 is that of whoever could not read the event.
  local count, when = fan_out(event)
  local another = count and accepted ~= 0 and when ~= accepted
  if of ~= epoch or own ~= number or another then
    if attempt ~= '' then record_late(name, accepted, attempt) end
    answer[#answer + 1] = '0'
  else
    call('HDEL', LEASES, name)
    if effect ~= '' then take_effect(effect, endpoint, effect_time, reason, now) end
    local slot = tried and read_slot(event, n)
      or { state = 0, error = 0, status = 0, attempts = 0, failures = 0, completed = 0 }
    if attempt ~= '' then
      counted(slot)
      note(slot, status, error)
      if decision == 'x' or decision == 's' or decision == 'r' then
        slot.failures = math.min(slot.failures + 1, 65535)
      end
    end
    local final
    if decision == 'd' then
      final = DELIVERED
    elseif decision == 'x' then
      final = EXHAUSTED
    elseif decision == 's' then
      final = SKIPPED
    else
      local shown = call('HMGET', endpoint_of(endpoint), 's', 'k')
      if not shown[1] then
        final = CANCELLED
      elseif shown[1] == DISABLED then
        final = SKIPPED
      else
        if count then call('ZADD', queue_of(endpoint), score(time, tried or attempt ~= ''), name) end
        if count and shown[1] == ENABLED then
          ready_by(endpoint, time, tonumber(shown[2]), now)
          due = true
        end
      end
    end
    if final then slot.state, slot.completed = final, now end
    if count and (final or attempt ~= '') then
      local frame = attempt ~= '' and frame_of(n, attempt) or ''
      write_record(event, n, count, slot, frame, final ~= nil)
    end
    answer[#answer + 1] = '1'
  end
end
if due then wake(ARGV[1]) end
return table.concat(answer)
