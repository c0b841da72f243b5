-- A live lease is a field of LEASES: `epoch:6 number:6 expiry:6 due:6 flags:1 endpoint:16`, and if it is one of an
-- ordered endpoint, `place:6`, where the delivery belongs in the order. The field is the delivery's name; that of a
-- manual attempt, of which a delivery can have several, has an `m` and the lease's number behind it.
--
-- Beside them stand leases that ended while their requests may have been under way, because their deliveries were given
-- up or delivered by hand, with an `x` and the number. They are kept until it is known what came of the requests, or that
-- nobody will tell.
--
-- Flags: TRIED if something may be recorded of the delivery, IN_ORDER if the lease is one of an ordered endpoint.
local TRIED, IN_ORDER = 1, 2
local TOGETHER = 1000 -- deliveries of one millisecond that stay in order when one of them is tried

local AUTOMATIC, MANUAL, ENDED = '', 'm', 'x'

-- What kind of a lease a field is of.
local function kind_of(field)
  return string.sub(field, 15, 15)
end

local function field_of(kind, name, number)
  return kind == AUTOMATIC and name or name .. kind .. whole(number)
end

-- A lease of an ordered endpoint has ended. The caller lets the endpoint have its place again.
local function end_in_order(endpoint)
  local shown = call('HMGET', endpoint_of(endpoint), 'z', 'f')
  if not shown[1] or not shown[2] then return end
  if tonumber(shown[2]) > 1 then
    call('HINCRBY', endpoint_of(endpoint), 'f', -1)
  else
    call('HDEL', endpoint_of(endpoint), 'f')
  end
end

-- Puts the delivery of a lease that has ended back into its endpoint's queue, to be attempted at a time. Whether
-- anything is recorded of it then is `tried`. Gives whether it can be leased once it is due.
local function put_back(name, lease, endpoint, shown, time, tried, now)
  local state, parked, throttled, ordered, aside = unpack(shown)
  if ordered then
    enqueue_at_place(endpoint, name, #lease >= 47 and unpack_bytes('>I6', lease, 42) or time, time)
  else
    call('ZADD', queue_of(endpoint), score(time, tried), name)
    if state == ENABLED then ready_by(endpoint, time, parked, throttled, aside, now) end
  end
  return state == ENABLED
end

-- Whoever has a delivery in a queue or in flight must know that something is recorded of it now. In a queue, those of
-- its millisecond count as tried with it, so that they stay in order.
local function mark_tried(name, endpoint)
  local queue = queue_of(endpoint)
  local queued = call('ZSCORE', queue, name)
  if queued and tonumber(queued) % 2 == 0 then
    for _, one in ipairs(call('ZRANGEBYSCORE', queue, queued, queued, 'LIMIT', 0, TOGETHER)) do
      call('ZADD', queue, whole(tonumber(queued) + 1), one)
    end
    call('ZADD', queue, 'XX', whole(tonumber(queued) + 1), name)
  end
  local lease = call('HGET', LEASES, name)
  local flags = lease and string.byte(lease, 25)
  if lease and flags % 2 == 0 then
    call('HSET', LEASES, name, string.sub(lease, 1, 24) .. string.char(flags + TRIED) .. string.sub(lease, 26))
  end
end

-- The queues that were closed, by endpoint: {number, what became of it and when} of each.
local function closings_by_endpoint()
  local all, closings = call('HGETALL', CLOSINGS), {}
  for i = 1, #all, 2 do
    local endpoint = string.sub(all[i + 1], 8, 23)
    closings[endpoint] = closings[endpoint] or {}
    table.insert(closings[endpoint], { all[i], all[i + 1] })
  end
  return closings
end

-- The closing in whose queue a delivery is, what became of it by that, and when; nil if it is in none. Whoever looks
-- for many passes in what was closed.
local function closing_of(name, endpoint, closings)
  closings = closings or closings_by_endpoint()
  for _, closing in ipairs(closings[endpoint] or {}) do
    if call('ZSCORE', K .. ':c:' .. closing[1], name) then
      local state, now = unpack_bytes('>BI6', closing[2])
      return closing[1], state, now
    end
  end
end

-- Takes a delivery that is not final from wherever it waits: it is not attempted again, and its lease ends.
local function withdraw(name, endpoint, now)
  local lease = call('HGET', LEASES, name)
  if lease then
    local _, number = unpack_bytes('>I6I6', lease)
    call('HDEL', LEASES, name)
    call('HSET', LEASES, field_of(ENDED, name, number), lease)
    if string.byte(lease, 25) >= IN_ORDER then
      end_in_order(endpoint)
      reposition(endpoint, now)
    end
  elseif call('ZREM', queue_of(endpoint), name) + call('ZREM', old_queue_of(endpoint), name) > 0 then
    call('HDEL', due_times_of(endpoint), name)
    reposition(endpoint, now)
  else
    local closing = closing_of(name, endpoint)
    if closing then call('ZREM', K .. ':c:' .. closing, name) end
  end
end
