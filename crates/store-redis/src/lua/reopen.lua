-- Opens deliveries again that are over.
--
-- ARGV  channel, tenant's id, now, before when it has to have been over or '', then for each delivery: event, place in its
--       fan-out, time of acceptance
-- Gives 't' where there is no such tenant, or a letter for each: r it is open again, o it was open as it is, or is none of
-- those that a job means, c its endpoint takes nothing, m there is no such delivery. What is too much for one call has no
-- letter, and is to be asked for again.
--
-- What stands in line for retention stays there: it does not agree with its record any more, and is passed over.
local WALK = 20000 -- deliveries of opened events that a call looks at
local now, over_before = tonumber(ARGV[3]), tonumber(ARGV[4])
if not call('ZSCORE', K .. ':tenants', ARGV[2]) then return 't' end

-- How many deliveries of each event were over and are open again, and its fan-out; how many fan-outs have in all.
local opened, fan_outs, walk = {}, {}, 0

-- Writes down that it is open. Gives whether something else is recorded of it.
local function open_slot(event, n, count, slot)
  local was_over = slot.state ~= 0
  local recorded = was_over or slot.attempts > 0 or is_troubled(slot)
  if not recorded then return false end
  slot.state, slot.failures, slot.completed = 0, 0, 0
  write_record(event, n, count, slot, '', false)
  if was_over then
    if not opened[event] then walk = walk + count end
    opened[event] = (opened[event] or 0) + 1
    fan_outs[event] = count
  end
  return slot.attempts > 0 or is_troubled(slot)
end

-- Whether an event is only a test. In its options, which are JSON, a quote within a text has a backslash before it.
local function is_test(event)
  local _, options = first_due(event)
  if not options then return false end
  local key = K .. ':e:' .. event
  local length = unpack_bytes('>I4', call('GETRANGE', key, options, options + 3))
  return string.find(call('GETRANGE', key, options + 4, options + 3 + length), '"test":true', 1, true) ~= nil
end

-- Puts it where it waits until it is due; in an order, at its place.
local function wait_again(event, n, endpoint, shown, tried)
  local state, parked, throttled, ordered, aside = unpack(shown)
  local name, due = member(event, n), math.max(now, (first_due(event)))
  if ordered then
    enqueue_at_place(endpoint, name, place_of(event, n), due)
    reposition(endpoint, now)
    return
  end
  call('ZADD', queue_of(endpoint), score(due, tried), name)
  if state == ENABLED then ready_by(endpoint, due, parked, throttled, aside, now) end
end

-- Opens a delivery, and gives what became of it; nil if its event is too much for this call.
local function reopen(event, n, accepted)
  local count = event ~= '' and fan_out_of(ARGV[2], event, n, accepted)
  if not count then return 'm' end
  local name, endpoint, slot = member(event, n), target_of(event, n), read_slot(event, n)
  local place = slot.state == 0 and where(event, n, endpoint) or ''
  if place ~= '' and string.sub(place, 1, 1) ~= 'c' then return 'o' end
  local shown = call('HMGET', endpoint_of(endpoint), 's', 'k', 'b', 'z', 'y')
  if not shown[1] or shown[1] == DISABLED then return 'c' end
  -- What became of a queue that was closed is behind the first two letters.
  local completed = place ~= '' and tonumber(string.sub(place, 3)) or slot.completed
  if over_before and (completed >= over_before or is_test(event)) then return 'o' end
  if slot.state ~= 0 and not opened[event] and walk > 0 and walk + count > WALK then return nil end
  -- It is taken from the queue that was closed, if it is still there.
  if place ~= '' then call('ZREM', K .. ':c:' .. closing_of(name, endpoint, known_closings), name) end
  wait_again(event, n, endpoint, shown, open_slot(event, n, count, slot))
  return 'r'
end

local answer = {}
for at = 5, #ARGV, 3 do
  local letter = reopen(ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
  if not letter then break end
  answer[#answer + 1] = letter
end
-- That looks at all deliveries of an event: once, however many were opened.
for event, count in pairs(opened) do
  local open = unpack_bytes('>I3', call('GETRANGE', record_of(event), 0, 2))
  end_anew(event, fan_outs[event], open + count)
end
answer = table.concat(answer)
if string.find(answer, 'r', 1, true) then wake(ARGV[1]) end
return answer
