-- An endpoint becomes ordered, or ceases to be. That decides what the scores of its queue mean, so that the queue is made
-- anew. However long it is, at first it is only put aside, and then moved in steps: the first one with the change, the
-- others when the endpoint comes up. Before that is done the endpoint is given nothing.
--
-- Meanwhile what is new goes into the new queue, and the hash says in i what was asked for last: 1 if the endpoint is to be
-- ordered. If that is not what is being done, it is done afterwards.
local STEP = 1000 -- deliveries

-- When a delivery in either queue is due; nil if it is in neither.
local function due_in_queue(endpoint, name)
  local queued = call('ZSCORE', queue_of(endpoint), name) or call('ZSCORE', old_queue_of(endpoint), name)
  return queued and due_at_place(endpoint, name, tonumber(queued))
end

-- Notes what is in flight, and the last place that was given, as far as clocks may be ahead. What waits is looked at
-- from the latest on, down to the first that was not tried: that is due at its place, and nothing before it has a later
-- one. What is beyond a step follows when it is moved.
local function begin_order(endpoint, now)
  local last, in_flight, horizon = 0, 0, now + SLACK
  local latest_due = score(horizon)
  -- stylua: ignore
  local waiting = call('ZRANGE', old_queue_of(endpoint), latest_due, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, STEP,
    'WITHSCORES')
  for i = 1, #waiting, 2 do
    local queued = tonumber(waiting[i + 1])
    local tried = queued % 2 == 1
    last = math.max(last, tried and place_of(split(waiting[i])) or due_of(queued))
    if not tried then break end
  end
  local all = call('HGETALL', LEASES)
  for i = 1, #all, 2 do
    local field, lease = all[i], all[i + 1]
    if kind_of(field) == AUTOMATIC and string.sub(lease, 26, 41) == endpoint then
      in_flight = in_flight + 1
      local _, _, _, due, flags = unpack_bytes('>I6I6I6I6B', lease)
      local place = place_of(split(field)) or due
      if place > last and place <= horizon then last = place end
      local bytes = string.sub(lease, 1, 24) .. string.char(IN_ORDER + flags % 2) .. endpoint
      call('HSET', LEASES, field, bytes .. pack('>I6', place))
    end
  end
  if in_flight > 0 then call('HSET', endpoint_of(endpoint), 'f', in_flight) end
  call('HSET', endpoint_of(endpoint), 'z', whole(last))
end

-- Begins with it. Gives whether there is anything to move.
local function turn_over(endpoint, ordered, now)
  local waits = call('EXISTS', queue_of(endpoint)) == 1
  if waits then
    call('RENAME', queue_of(endpoint), old_queue_of(endpoint))
    call('HSET', endpoint_of(endpoint), 'i', ordered and 1 or 0)
  end
  if ordered then
    begin_order(endpoint, now)
  else
    call('HDEL', endpoint_of(endpoint), 'z', 'f')
  end
  return waits
end

-- Moves deliveries into the order.
local function move_to_places(endpoint, rows, last, now)
  local before, horizon = last, now + SLACK
  for i = 1, #rows, 2 do
    local due = due_at_place(endpoint, rows[i], tonumber(rows[i + 1]))
    local place = place_of(split(rows[i])) or due
    enqueue_at_place(endpoint, rows[i], place, due)
    if place > last and place <= horizon then last = place end
  end
  if last > before then call('HSET', endpoint_of(endpoint), 'z', whole(last)) end
end

-- Moves deliveries to where they wait until they are due.
local function move_to_times(endpoint, rows)
  for i = 1, #rows, 2 do
    local due = due_at_place(endpoint, rows[i], tonumber(rows[i + 1]))
    call('ZADD', queue_of(endpoint), score(due, true), rows[i])
    call('HDEL', due_times_of(endpoint), rows[i])
  end
end

-- Does the next step, if there is one.
local function rearrange(endpoint, now)
  local shown = call('HMGET', endpoint_of(endpoint), 'z', 'i')
  if not shown[2] then return end
  local rows = call('ZPOPMIN', old_queue_of(endpoint), STEP)
  if shown[1] then
    move_to_places(endpoint, rows, tonumber(shown[1]), now)
  else
    move_to_times(endpoint, rows)
  end
  if call('EXISTS', old_queue_of(endpoint)) == 0 then
    call('HDEL', endpoint_of(endpoint), 'i')
    local ordered = shown[2] == '1'
    if ordered ~= (shown[1] ~= false) then turn_over(endpoint, ordered, now) end
  end
end

-- Lets an endpoint be ordered, or not.
local function arrange(endpoint, ordered, now)
  local shown = call('HMGET', endpoint_of(endpoint), 'z', 'i')
  if shown[2] then
    call('HSET', endpoint_of(endpoint), 'i', ordered and 1 or 0)
  elseif ordered ~= (shown[1] ~= false) and turn_over(endpoint, ordered, now) then
    rearrange(endpoint, now)
  end
end
