-- Records attempts and what comes next.
--
-- ARGV  channel, then for each settlement
--         member, epoch, lease number, time of acceptance, attempt or '', its status or 0, its error code or 0,
--         m if it is manual or '', decision, its time, what is done to the endpoint: parked until or '', health or '',
--         disabled or '', the version of it that was attempted, now
--       decision: d delivered, x exhausted, s skipped, r retry, b back (release), y stay
--       health: w well, f failed, followed by 1 if the delivery is exhausted by that, else 0, and by the warning, 0 for none
--       disabled: an exclamation mark and the reason
-- Gives a string of 1 (applied) and 0 (stale) for each.
--
-- Repeated, it finds no live lease and the attempt recorded, and changes nothing.
local FIELDS = 15
local MOST = 4294967295 -- that is counted of an endpoint's health
local answer, due = {}, false

-- The attempt of a lease that is not live any more: it happened, and changes no state.
local function record_late(name, accepted, attempt)
  local event, n = split(name)
  local count, when = fan_out(event)
  if not count or n >= count or when ~= accepted or is_recorded(event, n, count, attempt) then return end
  local slot = read_slot(event, n)
  local virgin = slot.attempts == 0 and slot.failures == 0
  counted(slot)
  write_record(event, n, count, slot, frame_of(n, attempt), false)
  if virgin then mark_tried(name, target_of(event, n)) end
end

-- Notes how an endpoint fares.
local function note_health(endpoint, tenant, before, effect, now)
  local since, failures, exhausted, warned = 0, 0, 0, 0
  if before then
    since, failures, exhausted, warned = unpack_bytes('>I6I4I4B', before)
  end
  if effect == 'w' then
    if before then call('HDEL', endpoint_of(endpoint), 'h') end
    if warned > 0 then leave_notice('r', tenant, endpoint, now, pack('>I6', since)) end
    return
  end
  if since == 0 then since = now end
  failures = math.min(failures + 1, MOST)
  if string.sub(effect, 2, 2) == '1' then exhausted = math.min(exhausted + 1, MOST) end
  local warning = tonumber(string.sub(effect, 3))
  if warning > warned then
    warned = warning
    leave_notice('f', tenant, endpoint, now, pack('>I6B', since, warning))
  end
  call('HSET', endpoint_of(endpoint), 'h', pack('>I6I4I4B', since, failures, exhausted, warned))
end

-- What an attempt means for the whole endpoint.
local function take_effects(endpoint, park, health, disable, version, now)
  local key = endpoint_of(endpoint)
  local shown = call('HMGET', key, 's', 'k', 't', 'h', 'v')
  if not shown[1] or shown[5] ~= version then return end
  if health ~= '' then note_health(endpoint, shown[3], shown[4], health, now) end
  if park ~= '' then
    call('HSET', key, 'k', whole(math.max(tonumber(shown[2]) or 0, tonumber(park))))
    reposition(endpoint, now)
  end
  if disable ~= '' and shown[1] ~= DISABLED then
    local reason = string.sub(disable, 2)
    call('HSET', key, 's', DISABLED, 'w', reason, 'u', whole(now), 'r', ordinal())
    call('HINCRBY', key, 'v', 1)
    close_queue(endpoint, SKIPPED, now)
    touch(shown[3])
    leave_notice('d', shown[3], endpoint, now, reason)
  end
end

-- What came of a manual attempt: whatever else becomes of the delivery goes on, unless it has arrived.
local function settle_manual(name, endpoint, count, attempt, status, error, arrived, now)
  local event, n = split(name)
  local slot = read_slot(event, n)
  local was = slot.state
  local frame = ''
  if attempt ~= '' then
    frame = frame_of(n, attempt)
    counted(slot)
    note(slot, status, error)
  end
  if not arrived or was == DELIVERED then
    if frame == '' then return end
    write_record(event, n, count, slot, frame, false)
    mark_tried(name, endpoint)
    return
  end
  slot.state, slot.completed = DELIVERED, now
  if was == 0 then
    withdraw(name, endpoint, now)
    due = true
    write_record(event, n, count, slot, frame, true)
  else
    write_record(event, n, count, slot, frame, false)
    end_anew(event, count)
  end
end

-- What came of an automatic attempt.
local function settle_automatic(name, lease, endpoint, count, attempt, status, error, decision, time, now)
  local event, n = split(name)
  local flags = string.byte(lease, 25)
  local tried = flags % 2 == TRIED
  local slot = tried and read_slot(event, n)
    or { state = 0, error = 0, status = 0, attempts = 0, failures = 0, completed = 0 }
  if attempt ~= '' then
    counted(slot)
    note(slot, status, error)
    if decision == 'x' or decision == 's' or decision == 'r' then
      slot.failures = math.min(slot.failures + 1, 65535)
    end
  end
  if flags >= IN_ORDER then end_in_order(endpoint) end
  local final
  if decision == 'd' then
    final = DELIVERED
  elseif decision == 'x' then
    final = EXHAUSTED
    if count then
      local head = call('GETRANGE', K .. ':e:' .. event, 2, 17)
      local tenant = unpack_bytes('>I4', head, 13)
      leave_notice('x', tenant, endpoint, now, name .. string.sub(head, 1, 6))
    end
  elseif decision == 's' then
    final = SKIPPED
  else
    local shown = call('HMGET', endpoint_of(endpoint), 's', 'k', 'b', 'z', 'y')
    if not shown[1] then
      final = CANCELLED
    elseif shown[1] == DISABLED then
      final = SKIPPED
    elseif count and put_back(name, lease, endpoint, shown, time, tried or attempt ~= '', now) then
      due = true
    end
  end
  if final then slot.state, slot.completed = final, now end
  if count and (final or attempt ~= '') then
    local frame = attempt ~= '' and frame_of(n, attempt) or ''
    write_record(event, n, count, slot, frame, final ~= nil)
  end
  if flags >= IN_ORDER then
    reposition(endpoint, now)
    due = true
  end
end

for at = 2, #ARGV, FIELDS do
  local name, epoch, number, accepted = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local attempt, status, error = ARGV[at + 4], tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local manual, decision, time = ARGV[at + 7] == 'm', ARGV[at + 8], tonumber(ARGV[at + 9])
  local park, health, disable, version = ARGV[at + 10], ARGV[at + 11], ARGV[at + 12], ARGV[at + 13]
  local now = tonumber(ARGV[at + 14])
  local field = field_of(manual and MANUAL or AUTOMATIC, name, number)
  local lease = call('HGET', LEASES, field)
  local of, own, endpoint
  if lease then
    of, own = unpack_bytes('>I6I6', lease)
    endpoint = string.sub(lease, 26, 41)
  end
  -- No event: Redis was cut back to a moment before it was there. An event of another time: its number was given again
  -- since. A time of 0 is that of whoever could not read the event. What is attempted by hand may have been removed.
  local count, when = fan_out((split(name)))
  local another = (count or manual) and accepted ~= 0 and when ~= accepted
  if of ~= epoch or own ~= number or another then
    if attempt ~= '' then record_late(name, accepted, attempt) end
    call('HDEL', LEASES, field_of(ENDED, name, number))
    if manual and not count then call('HDEL', LEASES, field) end
    answer[#answer + 1] = '0'
  else
    call('HDEL', LEASES, field)
    if park ~= '' or health ~= '' or disable ~= '' then
      take_effects(endpoint, park, health, disable, version, now)
    end
    if not manual then
      settle_automatic(name, lease, endpoint, count, attempt, status, error, decision, time, now)
    elseif count then
      settle_manual(name, endpoint, count, attempt, status, error, decision == 'd', now)
    end
    answer[#answer + 1] = '1'
  end
end
if due then wake(ARGV[1]) end
return table.concat(answer)
