-- The record of an event: what became of its deliveries. It is missing until something became of one of them.
--
--   header  open:3 ended:6 failed:1                 how many are not final; when the last became so; whether any failed
--   slots   state:1 error:1 status:2 attempts:2 failures:2 completed:6     one for each delivery; state 0 is not final
--   frames  n:2 length:4 bytes                      attempts, in the order in which they were recorded
--
-- `error` is the code of the last attempt's error class plus one, 0 for none. All numbers are big-endian.
local HEADER, SLOT = 10, 14
local NO_SLOT = string.rep('\0', SLOT)

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

local function read_slot(event, n)
  local from = HEADER + SLOT * n
  local bytes = call('GETRANGE', record_of(event), from, from + SLOT - 1)
  if #bytes < SLOT then bytes = NO_SLOT end
  local slot = {}
  slot.state, slot.error, slot.status, slot.attempts, slot.failures, slot.completed = unpack_bytes('>BBHHHI6', bytes)
  return slot
end

-- Writes a delivery's slot and appends an attempt's frame ('' for none). `closing` says that it became final: with its
-- last delivery the event is over, and stands in line for retention. The lines are in the order of the ends: an event
-- whose end is written down `late` has a place among its like instead.
local function write_record(event, n, count, slot, frame, closing, late)
  local key = record_of(event)
  local head = call('GETRANGE', key, 0, HEADER - 1)
  local fresh = #head < HEADER
  local open, ended, failed = count, 0, 0
  if not fresh then open, ended, failed = unpack_bytes('>I3I6B', head) end
  if closing then
    open = open - 1
    if slot.completed > ended then ended = slot.completed end
    if slot.state ~= DELIVERED then failed = 1 end
    head = pack('>I3I6B', open, ended, failed)
  end
  local bytes =
    pack('>BBHHHI6', slot.state, slot.error, slot.status, slot.attempts, slot.failures, slot.completed)
  if fresh then
    if not closing then head = pack('>I3I6B', open, ended, failed) end
    call('SET', key, head .. string.rep(NO_SLOT, n) .. bytes .. string.rep(NO_SLOT, count - n - 1) .. frame)
  else
    if count == 1 then
      call('SETRANGE', key, 0, head .. bytes)
    else
      if closing then call('SETRANGE', key, 0, head) end
      call('SETRANGE', key, HEADER + SLOT * n, bytes)
    end
    if frame ~= '' then call('APPEND', key, frame) end
  end
  if closing and open == 0 then
    if late then
      call('ZADD', K .. ':g', whole(ended), event)
    else
      call('RPUSH', K .. (failed == 1 and ':f' or ':d'), event .. whole(ended))
    end
  end
end

local function frame_of(n, attempt)
  return pack('>I2I4', n, #attempt) .. attempt
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
