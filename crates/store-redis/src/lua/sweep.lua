-- Writes to the records what became of queues that were closed, up to a limit of deliveries.
--
-- ARGV  limit
-- Gives 1 if there are more.
local limit = tonumber(ARGV[1])
local closings = call('HGETALL', CLOSINGS)
for i = 1, #closings, 2 do
  local number = closings[i]
  local key = K .. ':c:' .. number
  local state, now = unpack_bytes('>BI6', closings[i + 1])
  local rows = call('ZPOPMIN', key, limit)
  for j = 1, #rows, 2 do
    local event, n = split(rows[j])
    local count = fan_out(event)
    -- Redis may have been cut back to a moment before the event was there.
    if count then
      local slot = read_slot(event, n)
      slot.state, slot.completed = state, now
      write_record(event, n, count, slot, '', true, true)
    end
    limit = limit - 1
  end
  if call('EXISTS', key) == 0 then call('HDEL', CLOSINGS, number) end
  if limit == 0 then break end
end
return call('EXISTS', CLOSINGS)
