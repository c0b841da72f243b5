-- The turn of an endpoint: what it is given.

-- Leases the next delivery of an ordered endpoint, which has no turn again before that one is settled. Gives how many.
local function lease_in_order(endpoint)
  local row = call('ZRANGE', queue_of(endpoint), 0, 0, 'WITHSCORES')
  local name, queued = row[1], tonumber(row[2])
  local due = name and due_at_place(endpoint, name, queued)
  if not name or due > now then
    reposition(endpoint, now)
    return 0
  end
  local event, n = split(name)
  number = number + 1
  add_lease(answer, name, due, queued % 2 == 1 and read_slot(event, n))
  call('ZREM', queue_of(endpoint), name)
  call('ZREM', READY, endpoint)
  call('HDEL', due_times_of(endpoint), name)
  call('HSET', endpoint_of(endpoint), 'f', 1)
  local bytes = pack('>I6I6I6I6B', epoch, number, expiry, due, IN_ORDER + queued % 2)
  call('HSET', LEASES, name, bytes .. endpoint .. pack('>I6', due_of(queued)))
  return 1
end

-- Leases up to so many deliveries of an endpoint. Gives how many, and whether more are due: then it keeps its place.
local function lease_by_time(endpoint, wanted)
  -- One more than wanted, to know when there is more.
  local rows = call('ZRANGE', queue_of(endpoint), 0, wanted, 'WITHSCORES')
  local taken, kept = {}, {}
  for i = 1, math.min(wanted * 2, #rows), 2 do
    local name, queued = rows[i], tonumber(rows[i + 1])
    local due, tried = due_of(queued), queued % 2 == 1
    if due > now then break end
    local event, n = split(name)
    number = number + 1
    add_lease(answer, name, due, tried and read_slot(event, n))
    taken[#taken + 1] = name
    kept[#kept + 1] = name
    kept[#kept + 1] = pack('>I6I6I6I6B', epoch, number, expiry, due, tried and TRIED or 0) .. endpoint
  end
  if #taken > 0 then
    call('ZREM', queue_of(endpoint), unpack(taken))
    call('HSET', LEASES, unpack(kept))
  end
  local following = rows[#taken * 2 + 2]
  if not following then
    call('ZREM', READY, endpoint)
    return #taken, false
  end
  local due = due_of(tonumber(following))
  if due <= now then return #taken, true end
  call('ZADD', READY, whole(due * TURNS), endpoint)
  return #taken, false
end

-- What a turn needs to know of an endpoint, and how many it may be given.
local function look_at(endpoint)
  local shown = call('HMGET', endpoint_of(endpoint), 'r', 'k', 'h', 't', 'm', 'a', 'i')
  local most = per_endpoint
  if shown[5] and tonumber(shown[5]) < most then most = tonumber(shown[5]) end
  if shown[6] and tonumber(shown[6]) < most then most = tonumber(shown[6]) end
  shown.endpoint, shown.tenant, shown.left, shown.changing = endpoint, shown[4] or '', most, shown[7]
  return shown
end

-- Lets an endpoint have its turn, or what is left of it, as far as there is room. Gives how many it was given.
local function have_turn(shown, room)
  local endpoint = shown.endpoint
  local head = turn_head(answer, endpoint, shown)
  local taken, more
  -- Whoever is ordered has a burst of 1.
  if shown[5] == '1' and call('HEXISTS', endpoint_of(endpoint), 'z') == 1 then
    taken, more = lease_in_order(endpoint), false
  else
    taken, more = lease_by_time(endpoint, math.min(limit, room, shown.left))
  end
  answer[head] = taken
  shown.came_up, shown.more, shown.left = true, more, shown.left - taken
  limit = limit - taken
  if taken == 0 then in_vain = in_vain + 1 end
  return taken
end

-- An endpoint that becomes ordered, or ceases to be, is given nothing, but a step of that is done. One is enough for a
-- call: whoever else changes only goes behind, so that nobody waits for all of them.
local function go_on_changing(shown)
  if not rearranged then
    rearrange(shown.endpoint, now)
    rearranged = shown.endpoint
  end
  shown.came_up, shown.more, shown.left = true, true, 0
  in_vain = in_vain + 1
end
