-- Whose turn it is: READY has each enabled endpoint whose queue is not empty, by when its turn can begin, but for those that
-- are set aside; their tenants stand there (`common/aside.lua`).
--
-- A place is a millisecond times TURNS, plus the number of a turn within it: whoever had a turn goes behind everyone
-- who was due by then, in the order of the turns. A queue's score is twice the millisecond at which a delivery is due,
-- plus one if something may be recorded of it already. Both are exact in a double until the year 2109.
--
-- In the queue of an ordered endpoint the millisecond is a delivery's place in the order: when its event was accepted, or
-- is to be delivered. What waits to be tried again keeps it, and the others wait for it; when it is due is noted beside.
-- While one of its deliveries is in flight, the endpoint is not in READY.
local TURNS = 2048
local SLACK = 2000 -- CLOCK_SLACK of the contract, in milliseconds

local function queue_of(endpoint)
  return K .. ':q:' .. endpoint
end

-- What is left of a queue that is being made anew, because the endpoint became ordered or ceased to be.
local function old_queue_of(endpoint)
  return K .. ':u:' .. endpoint
end

local function score(due, tried)
  return whole(due * 2 + (tried and 1 or 0))
end

local function due_of(queue_score)
  return math.floor(queue_score / 2)
end

-- The latest of some times, of which some may be missing.
local function latest(due, parked, throttled)
  if parked and tonumber(parked) > due then due = tonumber(parked) end
  if throttled and tonumber(throttled) > due then due = tonumber(throttled) end
  return due
end

-- An endpoint's turn can begin at `due`, or earlier if it could already. Whoever is in line, or set aside, keeps the place.
local function ready_by(endpoint, due, parked, throttled, aside, now)
  if aside then return end
  local place = whole(latest(due, parked, throttled) * TURNS)
  if call('ZADD', READY, 'NX', place, endpoint) == 1 then return end
  if tonumber(call('ZSCORE', READY, endpoint)) >= (now + 1) * TURNS then
    call('ZADD', READY, 'LT', place, endpoint)
  end
end

-- When deliveries in the queue of an ordered endpoint are due that are not due at their places.
local function due_times_of(endpoint)
  return K .. ':w:' .. endpoint
end

-- When the delivery at a place is due.
local function due_at_place(endpoint, name, place)
  return tonumber(call('HGET', due_times_of(endpoint), name) or due_of(place))
end

-- When the next turn of an endpoint can begin as far as its queue decides; nil when nothing waits. What has to be made anew
-- is as soon as nothing else holds the endpoint up: at `now`. Whoever does not know that has just held it up.
local function next_in_queue(endpoint, ordered, changing, now)
  if changing then return now or 0 end
  local head = call('ZRANGE', queue_of(endpoint), 0, 0, 'WITHSCORES')
  if not head[1] then return nil end
  local place = tonumber(head[2])
  return ordered and due_at_place(endpoint, head[1], place) or due_of(place)
end

-- Gives an endpoint the place that its queue, its state and whatever holds it up ask for, whatever place it had. With a
-- time, whoever is in line by then, or set aside, keeps the place, and who comes into line again goes behind those who were.
local function reposition(endpoint, now)
  local shown = call('HMGET', endpoint_of(endpoint), 's', 'k', 'b', 'f', 'z', 'i', 'y', 't')
  local enabled = shown[1] == ENABLED and not shown[4]
  local due = enabled and next_in_queue(endpoint, shown[5], shown[6], now)
  if due then due = latest(due, shown[2], shown[3]) end
  if shown[7] then
    if now and due and due <= now then return end
    leave_aside(endpoint, shown[8])
  end
  if not due then
    call('ZREM', READY, endpoint)
    return
  end
  if now and due <= now then
    local turn = call('ZSCORE', READY, endpoint)
    if turn and tonumber(turn) < (now + 1) * TURNS then return end
    due = now
  end
  call('ZADD', READY, whole(due * TURNS), endpoint)
end

-- Gives a delivery of an ordered endpoint its place in the queue. All of them count as tried, so that those of one
-- millisecond stay in order when one is.
local function enqueue_at_place(endpoint, name, place, due)
  call('ZADD', queue_of(endpoint), score(place, true), name)
  if due ~= place then
    call('HSET', due_times_of(endpoint), name, whole(due))
  else
    call('HDEL', due_times_of(endpoint), name)
  end
end

-- The place of a new event in the order of an endpoint, which was given `last` before: behind that, though the event may
-- come from a process whose clock is behind by the slack. One that is delayed has its time.
local function new_place(endpoint, last, accepted, due)
  if due > accepted then return due end
  last = tonumber(last)
  local place = last > due and last - due <= SLACK and last or due
  if place ~= last then call('HSET', endpoint_of(endpoint), 'z', whole(place)) end
  return place
end

-- Puts a delivery of a new event into a queue.
local function enqueue(endpoint, name, state, accepted, due)
  local shown = call('HMGET', endpoint_of(endpoint), 'k', 'b', 'z', 'y')
  if shown[3] then
    local place = new_place(endpoint, shown[3], accepted, due)
    -- It goes back to it when it is opened again.
    if place ~= due then call('HSET', PLACES, name, whole(place)) end
    enqueue_at_place(endpoint, name, place, due)
    if state == ENABLED then reposition(endpoint, accepted) end
  else
    call('ZADD', queue_of(endpoint), score(due), name)
    if state == ENABLED then ready_by(endpoint, due, shown[1], shown[2], shown[4], accepted) end
  end
end
