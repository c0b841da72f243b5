-- Puts into the index of trouble what was troubled before there was one, the youngest events first.
--
-- ARGV  how many deliveries are looked at; an event without any counts as one
-- Gives 1 if there are more.
--
-- The state says which event is the next, and how many of its deliveries were looked at already.
local state = call('HMGET', STATE, 'unindexed', 'floor', 'unindexed_in')
local from, floor = tonumber(state[1] or '0'), tonumber(state[2] or '0')
local left, last, begin = tonumber(ARGV[1]), math.max(from, floor), tonumber(state[3] or '0')
if last > from then begin = 0 end
while last > floor and left > 0 do
  local event = string.format('%010x', last)
  local count = fan_out(event)
  local to = math.min(begin + left, count or 0)
  local slots = ''
  if begin < to then slots = call('GETRANGE', record_of(event), HEADER + SLOT * begin, HEADER + SLOT * to - 1) end
  local marks = slots ~= '' and string.byte(call('GETRANGE', record_of(event), HEADER - 1, HEADER - 1)) or 0
  local known = marks >= TROUBLED
  for n = 0, #slots / SLOT - 1 do
    local slot = {}
    slot.state, slot.error, slot.status, slot.attempts, slot.failures = unpack_bytes('>BBHHH', slots, SLOT * n + 1)
    if is_troubled(slot) then
      note_trouble(event, begin + n, known)
      known = true
    end
  end
  if known and marks < TROUBLED then call('SETRANGE', record_of(event), HEADER - 1, string.char(marks + TROUBLED)) end
  left = left - math.max(to - begin, 1)
  if to < (count or 0) then
    begin = to
  else
    last, begin = last - 1, 0
  end
end
call('HSET', STATE, 'unindexed', whole(last > floor and last or 0), 'unindexed_in', whole(last > floor and begin or 0))
return last > floor and 1 or 0
