-- Changes an endpoint.
--
-- ARGV  channel, tenant's id, endpoint, version that it was read with, state, reason, updated, URL, the rest,
--       nonce of the call, burst or '', 1 if it is ordered
-- Gives nil where there is none, 0 when the version is not the current one, or {parked until or '', health or ''}.
local AT_ONCE = 5000 -- deliveries that are given their places in the order
local number = call('ZSCORE', K .. ':tenants', ARGV[2])
local endpoint, version, state = ARGV[3], ARGV[4], ARGV[5]
local key = endpoint_of(endpoint)
local shown = call('HMGET', key, 't', 'v', 's', 'x', 'z')
if not number or not shown[1] or tonumber(shown[1]) ~= tonumber(number) then return false end

local function stands()
  local kept = call('HMGET', key, 'k', 'h')
  return { kept[1] or '', kept[2] or '' }
end

if shown[2] ~= version then
  -- It may be this very change, whose answer was lost.
  return call('HGET', key, 'n') == ARGV[10] and stands() or 0
end
if shown[3] ~= state or shown[4] ~= ARGV[8] then call('HDEL', key, 'k', 'h') end
-- What its owner said was said of the endpoint as it was.
call('HDEL', key, 'a', 'b')
call('ZREM', THROTTLED, endpoint)
-- stylua: ignore
call('HSET', key, 'v', whole(tonumber(version) + 1), 'r', ordinal(), 'n', ARGV[10], 's', state, 'w', ARGV[6],
  'u', ARGV[7], 'x', ARGV[8], 'd', ARGV[9])
if ARGV[11] == '' then
  call('HDEL', key, 'm')
else
  call('HSET', key, 'm', ARGV[11])
end

-- Brings what waits into the order, and knows what is in flight. Of a queue that is very long, what is due last keeps its
-- time as its place.
local function begin_order()
  local last, horizon = 0, tonumber(ARGV[7]) + SLACK
  local function follow(place)
    if place > last and place <= horizon then last = place end
    return place
  end
  local waiting = call('ZRANGE', queue_of(endpoint), 0, AT_ONCE - 1, 'WITHSCORES')
  for i = 1, #waiting, 2 do
    local due = due_of(tonumber(waiting[i + 1]))
    enqueue_at_place(endpoint, waiting[i], follow(place_of((split(waiting[i]))) or due), due)
  end
  local in_flight = 0
  local all = call('HGETALL', LEASES)
  for i = 1, #all, 2 do
    local field, lease = all[i], all[i + 1]
    if not is_manual(field) and string.sub(lease, 26, 41) == endpoint then
      in_flight = in_flight + 1
      local _, _, _, due, flags = unpack_bytes('>I6I6I6I6B', lease)
      local place = pack('>I6', follow(place_of((split(field))) or due))
      call('HSET', LEASES, field, string.sub(lease, 1, 24) .. string.char(IN_ORDER + flags % 2) .. endpoint .. place)
    end
  end
  if in_flight > 0 then call('HSET', key, 'f', in_flight) end
  call('HSET', key, 'z', whole(last))
end

-- What waits is due when it is due.
local function end_order()
  local due_times = call('HGETALL', due_times_of(endpoint))
  for i = 1, #due_times, 2 do
    call('ZADD', queue_of(endpoint), 'XX', score(tonumber(due_times[i + 1]), true), due_times[i])
  end
  call('DEL', due_times_of(endpoint))
  call('HDEL', key, 'z', 'f')
end

local ordered = ARGV[12] == '1'
if ordered and not shown[5] then begin_order() end
if shown[5] and not ordered then end_order() end
if state == DISABLED then
  close_queue(endpoint, SKIPPED, tonumber(ARGV[7]))
else
  reposition(endpoint)
end
touch(shown[1])
wake(ARGV[1])
return stands()
