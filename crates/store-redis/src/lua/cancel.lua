-- Gives a delivery up, and forgets what was asked for of it and has not begun.
--
-- ARGV  channel, tenant's id, event, place in its fan-out, time of acceptance, now
-- Gives 't' or 'd' where there is no such tenant or delivery, what it had come to already, or 0 when it is cancelled.
local event, n, now = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6])
if not call('ZSCORE', K .. ':tenants', ARGV[2]) then return 't' end
local count = fan_out_of(ARGV[2], event, n, tonumber(ARGV[5]))
if not count then return 'd' end
local name, endpoint = member(event, n), target_of(event, n)
local slot = read_slot(event, n)
if slot.state ~= 0 then return slot.state end
local _, closed = closing_of(name, endpoint)
if closed then return closed end
withdraw(name, endpoint, now)
for _, request in ipairs(call('LRANGE', ASKED, 0, -1)) do
  if string.sub(request, 1, 14) == name then call('LREM', ASKED, 0, request) end
end
slot.state, slot.completed = GIVEN_UP, now
write_record(event, n, count, slot, '', true)
-- In an order, the next one may go.
wake(ARGV[1])
return 0
