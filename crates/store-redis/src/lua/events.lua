-- Reads an event of a tenant with what became of its deliveries, as of one moment.
--
-- ARGV  tenant's id, what: 'id' or 'event', the event's id or its number, 1 if the deliveries are wanted, too
-- Gives nil where there is no such tenant, {} where there is no such event, or
--       {number, envelope, record or '', for each delivery that is not final where it waits (`common/shown.lua`), else ''}
local found = call('ZSCORE', K .. ':tenants', ARGV[1])
if not found then return false end
local tenant = whole(tonumber(found))
local event = ARGV[3]
if ARGV[2] == 'id' then event = call('HGET', K .. ':i:' .. tenant, ARGV[3]) end
local envelope = event and call('GET', K .. ':e:' .. event)
if not envelope or whole((unpack_bytes('>I4', envelope, 15))) ~= tenant then return {} end

local record = call('GET', record_of(event)) or ''
local answer = { event, envelope, record }
if ARGV[4] == '1' then
  local targets = 19 + string.byte(envelope, 19)
  for n = 0, unpack_bytes('>I2', envelope) - 1 do
    local at = HEADER + SLOT * n + 1
    local open = record == '' or string.byte(record, at) == 0
    local endpoint = string.sub(envelope, targets + 16 * n + 1, targets + 16 * n + 16)
    answer[#answer + 1] = open and where(event, n, endpoint) or ''
  end
end
return answer
