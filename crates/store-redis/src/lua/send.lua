-- Sends an event to one more endpoint: adds a target to its envelope, and a slot to its record.
--
-- ARGV  channel, tenant's id, event's id, endpoint, now
-- Gives 't', 'v', 'e' where there is no such tenant, event, endpoint; its state where it takes nothing; 'm' when the event
-- has as many endpoints as it can have; or {number of the event, place of the delivery in its fan-out, time of acceptance,
-- 1 if the delivery was made now}.
local MOST = 65535
local endpoint, now = ARGV[4], tonumber(ARGV[5])
local tenant = call('ZSCORE', K .. ':tenants', ARGV[2])
if not tenant then return 't' end
local event = call('HGET', K .. ':i:' .. whole(tonumber(tenant)), ARGV[3])
local envelope = event and call('GET', K .. ':e:' .. event)
if not envelope then return 'v' end
local shown = call('HMGET', endpoint_of(endpoint), 't', 's', 'k', 'b', 'z', 'y')
if not shown[1] or tonumber(shown[1]) ~= tonumber(tenant) then return 'e' end

local count, accepted = unpack_bytes('>I2I6', envelope)
local targets = 20 + string.byte(envelope, 19)
for n = 0, count - 1 do
  if string.sub(envelope, targets + 16 * n, targets + 16 * n + 15) == endpoint then
    return { event, n, accepted, 0 }
  end
end
if shown[2] == DISABLED then return DISABLED end
if count == MOST then return 'm' end

-- How many there were at first is kept: a publisher that comes again is told so.
local topic = targets + 16 * count
local kind = topic + 1 + string.byte(envelope, topic)
local bits = string.byte(envelope, kind)
local first = ''
if bits % (2 * WAS_SENT) < WAS_SENT then
  bits, first = bits + WAS_SENT, pack('>I2', count)
end
-- stylua: ignore
call('SET', K .. ':e:' .. event, pack('>I2', count + 1) .. string.sub(envelope, 3, topic - 1) .. endpoint
  .. string.sub(envelope, topic, kind - 1) .. string.char(bits) .. first .. string.sub(envelope, kind + 1))

local record = call('GET', record_of(event))
local open, ended, marks = count, 0, 0
local slots, frames = string.rep(NO_SLOT, count), ''
if record then
  open, ended, marks = unpack_bytes('>I3I6B', record)
  slots = string.sub(record, HEADER + 1, HEADER + SLOT * count)
  frames = string.sub(record, HEADER + SLOT * count + 1)
end
call('SET', record_of(event), pack('>I3I6B', open + 1, ended, marks) .. slots .. NO_SLOT .. frames)

local name = member(event, count)
if shown[5] then
  enqueue_at_place(endpoint, name, place_of(event, count), now)
  reposition(endpoint, now)
else
  call('ZADD', queue_of(endpoint), score(now), name)
  if shown[2] == ENABLED then ready_by(endpoint, now, shown[3], shown[4], shown[6], now) end
end
wake(ARGV[1])
return { event, count, accepted, 1 }
