-- The record of an event: what became of its deliveries. It is missing until something became of one of them, unless the
-- event says itself how long it is kept.
--
--   header  open:3 ended:6 marks:1                  how many are not final; when the last became so; marks (below)
--   slots   state:1 error:1 status:2 attempts:2 failures:2 completed:6     one for each delivery; state 0 is not final
--   frames  n:2 length:4 bytes                      attempts, in the order in which they were recorded
--
-- Marks: 1 if any delivery ended without arriving, 2 if the event has a period of its own, 4 if it is in the index of
-- trouble. `error` is the code of the last attempt's error class plus one, 0 for none. All numbers are big-endian.
local HEADER, SLOT = 10, 14
local NO_SLOT = string.rep('\0', SLOT)
local FAILED, OWN_PERIOD, TROUBLED = 1, 2, 4

-- Bits of the kind of an envelope.
local HAS_OPTIONS, WAS_SENT = 4, 8

local function record_of(event)
  return K .. ':r:' .. event
end

-- How many deliveries an event has, and when it was accepted; nil when there is no such event.
local function fan_out(event)
  local head = call('GETRANGE', K .. ':e:' .. event, 0, 7)
  if #head < 8 then return nil end
  local count, accepted = unpack_bytes('>I2I6', head)
  return count, accepted
end

-- The endpoint of one of an event's deliveries.
local function target_of(event, n)
  local from = 19 + string.byte(call('GETRANGE', K .. ':e:' .. event, 18, 18)) + 16 * n
  return call('GETRANGE', K .. ':e:' .. event, from, from + 15)
end

-- When an event was due first: when it was accepted, or when it is to be delivered. Behind it, where in its envelope the
-- options stand, if it has any; `src/envelope.rs` tells where all that is.
local function first_due(event)
  local key = K .. ':e:' .. event
  local count, accepted = fan_out(event)
  if not count then return nil end
  local topic = 19 + string.byte(call('GETRANGE', key, 18, 18)) + 16 * count
  local kind = topic + 1 + string.byte(call('GETRANGE', key, topic, topic))
  local bytes = call('GETRANGE', key, kind, kind + 8)
  local bits = string.byte(bytes)
  if bits % (2 * HAS_OPTIONS) < HAS_OPTIONS then return accepted end
  local due, behind = unpack_bytes('>I6', bytes, bits % (2 * WAS_SENT) < WAS_SENT and 2 or 4)
  return due, kind + behind - 1
end

-- The place of a delivery in the order of an ordered endpoint: the one that it was given, or that of its event.
local function place_of(event, n)
  local kept = call('HGET', PLACES, member(event, n))
  if kept then return tonumber(kept) end
  return (first_due(event))
end

-- How many deliveries the event of a tenant's delivery has; nil where there is no such delivery.
local function fan_out_of(tenant, event, n, accepted)
  local number = call('ZSCORE', K .. ':tenants', tenant)
  local head = number and call('GETRANGE', K .. ':e:' .. event, 0, 17) or ''
  if #head < 18 then return nil end
  local count, when = unpack_bytes('>I2I6', head)
  local whose = unpack_bytes('>I4', head, 15)
  return n < count and when == accepted and whose == tonumber(number) and count or nil
end

local function read_slot(event, n)
  local from = HEADER + SLOT * n
  local bytes = call('GETRANGE', record_of(event), from, from + SLOT - 1)
  if #bytes < SLOT then bytes = NO_SLOT end
  local slot = {}
  slot.state, slot.error, slot.status, slot.attempts, slot.failures, slot.completed = unpack_bytes('>BBHHHI6', bytes)
  slot.troubled = is_troubled(slot)
  return slot
end

-- An event that is over stands in line for retention. The lines are in the order of the ends: an event whose end is
-- written down `late` has a place among its like instead, and so has one with a period of its own.
local function stand_in_line(event, ended, marks, late)
  if marks % TROUBLED >= OWN_PERIOD then
    call('ZADD', KEPT, whole(ended + tonumber(call('HGET', PERIODS, event) or '0')), event)
  elseif late then
    call('ZADD', K .. ':g', whole(ended), event)
  else
    call('RPUSH', K .. (marks % OWN_PERIOD == FAILED and ':f' or ':d'), event .. whole(ended))
  end
end

-- Writes a delivery's slot and appends an attempt's frame ('' for none). `closing` says that it became final: with its
-- last delivery the event is over.
local function write_record(event, n, count, slot, frame, closing, late)
  local key = record_of(event)
  local head = call('GETRANGE', key, 0, HEADER - 1)
  local fresh = #head < HEADER
  local open, ended, marks, changed = count, 0, 0, closing
  if not fresh then open, ended, marks = unpack_bytes('>I3I6B', head) end
  if closing then
    open = open - 1
    if slot.completed > ended then ended = slot.completed end
    if slot.state ~= DELIVERED and marks % 2 == 0 then marks = marks + FAILED end
  end
  -- What was troubled before there was an index is put into it, too.
  if is_troubled(slot) and not (slot.troubled and marks >= TROUBLED) then
    note_trouble(event, n, marks >= TROUBLED)
    if marks < TROUBLED then marks = marks + TROUBLED end
    changed = true
  end
  head = pack('>I3I6B', open, ended, marks)
  local bytes =
    pack('>BBHHHI6', slot.state, slot.error, slot.status, slot.attempts, slot.failures, slot.completed)
  if fresh then
    call('SET', key, head .. string.rep(NO_SLOT, n) .. bytes .. string.rep(NO_SLOT, count - n - 1) .. frame)
  else
    if count == 1 then
      call('SETRANGE', key, 0, head .. bytes)
    else
      if changed then call('SETRANGE', key, 0, head) end
      call('SETRANGE', key, HEADER + SLOT * n, bytes)
    end
    if frame ~= '' then call('APPEND', key, frame) end
  end
  if closing and open == 0 then stand_in_line(event, ended, marks, late) end
end

-- Counts anew, from the slots, how an event with so many open deliveries ended: one that was final has arrived all the same,
-- or is open again. What stands in line with another end is passed over there.
local function end_anew(event, count, open)
  local bytes = call('GETRANGE', record_of(event), 0, HEADER + SLOT * count - 1)
  local before, ended, marks = unpack_bytes('>I3I6B', bytes)
  open, ended, marks = open or before, 0, marks - marks % 2
  for n = 0, count - 1 do
    local state, _, _, _, _, completed = unpack_bytes('>BBHHHI6', bytes, HEADER + SLOT * n + 1)
    if state ~= 0 and completed > ended then ended = completed end
    if state > DELIVERED and marks % 2 == 0 then marks = marks + FAILED end
  end
  call('SETRANGE', record_of(event), 0, pack('>I3I6B', open, ended, marks))
  if open == 0 then stand_in_line(event, ended, marks, false) end
end

local function frame_of(n, attempt)
  return pack('>I2I4', n, #attempt) .. attempt
end

-- Notes the last thing that an attempt came to.
local function note(slot, status, error)
  slot.error = error
  if status > 0 then slot.status = status end
end

local function counted(slot)
  slot.attempts = math.min(slot.attempts + 1, 65535)
end

-- Whether an attempt is recorded; it begins with its id of 16 bytes.
local function is_recorded(event, n, count, attempt)
  local bytes = call('GETRANGE', record_of(event), HEADER + SLOT * count, -1)
  local id, at = string.sub(attempt, 1, 16), 1
  while at < #bytes do
    local of, length = unpack_bytes('>I2I4', bytes, at)
    if of == n and string.sub(bytes, at + 6, at + 21) == id then return true end
    at = at + 6 + length
  end
  return false
end
