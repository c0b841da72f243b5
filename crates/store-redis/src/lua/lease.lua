-- Leases what is due: first the manual attempts that were asked for, then endpoints take turns, the one first that has
-- waited longest.
--
-- ARGV  epoch, now, limit, how many of them may be manual, per endpoint, per tenant, expiry, nonce of the call,
--       how many rooms, for each: tenant's id, room,
--       then for each throttle: tenant's id, endpoint, until or '', at most or ''
-- Gives nil to whoever is not the owner, or
--       {next turn (ms) or '', number of the first lease,
--        then for each turn: endpoint, its revision, its parked-until or '', its health or '', count,
--        then for each lease: its field, due, attempts, failures}
--       The leases are numbered on from the first, in their order.
--
-- A call that is repeated with its nonce, because its answer was lost, gets what it had got.
local epoch, now, limit, manual = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local per_endpoint, per_tenant, expiry, nonce = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local IN_VAIN = 1000 -- endpoints and requests that a call looks at for nothing
local DEFERRED = 128 -- endpoints that a call sends behind because their tenants had their share

local state = call('HMGET', STATE, 'epoch', 'owner', 'lease', 'turn', 'nonce', 'nonce_from')
if not state[2] or tonumber(state[1]) ~= epoch then return false end
-- Numbers follow the clock, so that one that a crash of Redis made it forget is not given again.
local number, turn = math.max(tonumber(state[3] or '0'), now * 64), tonumber(state[4] or '0')
local last_turn = turn
local last_place = now * TURNS + TURNS - 1 -- of those whose turn can begin now

-- Throttles say how things are, so that it does no harm to say it again.
local throttles_at = 10 + 2 * tonumber(ARGV[9])
for at = throttles_at, #ARGV, 4 do
  local endpoint, key = ARGV[at + 1], endpoint_of(ARGV[at + 1])
  local tenant, owner = call('ZSCORE', K .. ':tenants', ARGV[at]), call('HGET', key, 't')
  if tenant and owner and tonumber(tenant) == tonumber(owner) then
    for field, value in pairs({ b = ARGV[at + 2], a = ARGV[at + 3] }) do
      if value == '' then
        call('HDEL', key, field)
      else
        call('HSET', key, field, value)
      end
    end
    if ARGV[at + 2] == '' and ARGV[at + 3] == '' then
      call('ZREM', THROTTLED, endpoint)
    else
      call('ZADD', THROTTLED, whole(epoch), endpoint)
    end
    reposition(endpoint, now)
  end
end

-- When the next turn can begin; now, if something due was left.
local function next_turn()
  if call('EXISTS', ASKED) == 1 then return whole(now) end
  local head = call('ZRANGE', READY, 0, 0, 'WITHSCORES')
  return head[1] and whole(math.max(math.floor(tonumber(head[2]) / TURNS), now)) or ''
end

local function turn_head(answer, endpoint, shown)
  shown = shown or call('HMGET', endpoint_of(endpoint), 'r', 'k', 'h')
  answer[#answer + 1] = endpoint
  answer[#answer + 1] = shown[1] or ''
  answer[#answer + 1] = shown[2] or ''
  answer[#answer + 1] = shown[3] or ''
  answer[#answer + 1] = 0
  return #answer
end

local function add_lease(answer, field, due, slot)
  answer[#answer + 1] = field
  answer[#answer + 1] = due
  answer[#answer + 1] = slot and slot.attempts or 0
  answer[#answer + 1] = slot and slot.failures or 0
end

-- The answer of the call before, put together from the leases that it gave and that are live still.
if state[5] == nonce then
  local from, given = tonumber(state[6]), {}
  local all = call('HGETALL', LEASES)
  for i = 1, #all, 2 do
    local of, own, _, due = unpack_bytes('>I6I6I6I6', all[i + 1])
    if of == epoch and own >= from then
      given[own - from + 1] = { all[i], due, string.sub(all[i + 1], 26, 41) }
      -- They live from now on: nobody has begun with them.
      local rest = string.sub(all[i + 1], 19)
      call('HSET', LEASES, all[i], pack('>I6I6I6', of, own, expiry) .. rest)
    end
  end
  local answer = { next_turn(), whole(from) }
  for i = 1, tonumber(state[3]) - from + 1 do
    -- One that is gone leaves its number to nobody: it is answered with an empty name.
    local lease = given[i] or { '', 0, '' }
    local head = turn_head(answer, lease[3])
    answer[head] = 1
    local event, n = split(lease[1] == '' and '00000000000000' or lease[1])
    add_lease(answer, lease[1], lease[2], lease[1] ~= '' and read_slot(event, n))
  end
  return answer
end

local first = number + 1
local answer = { '', whole(first) }
local in_vain = 0

-- What was asked for: the delivery's name, 1 if it is forced, when its event was accepted, when it was asked for.
local function lease_asked(request)
  local name, force = string.sub(request, 1, 14), string.sub(request, 15, 15)
  local accepted, asked = string.match(request, '^(%d+),(%d+)$', 16)
  local event, n = split(name)
  local count, when = fan_out(event)
  if not count or n >= count or when ~= tonumber(accepted) then return false end
  local endpoint = target_of(event, n)
  local shown = call('HMGET', endpoint_of(endpoint), 'r', 'k', 'h', 's')
  if not shown[4] or (shown[4] ~= ENABLED and force == '0') then return false end
  number = number + 1
  local field = manual_field(name, number)
  call('HSET', LEASES, field, pack('>I6I6I6I6B', epoch, number, expiry, tonumber(asked), TRIED) .. endpoint)
  answer[turn_head(answer, endpoint, shown)] = 1
  add_lease(answer, field, tonumber(asked), read_slot(event, n))
  return true
end

while limit > 0 and manual > 0 and in_vain < IN_VAIN do
  local request = call('LPOP', ASKED)
  if not request then break end
  if lease_asked(request) then
    limit, manual = limit - 1, manual - 1
  else
    in_vain = in_vain + 1
  end
end

local rooms = {}
for at = 10, throttles_at - 1, 2 do
  local tenant = call('ZSCORE', K .. ':tenants', ARGV[at])
  if tenant then rooms[whole(tonumber(tenant))] = tonumber(ARGV[at + 1]) end
end

-- Sends an endpoint behind everyone who waits.
local function go_behind(endpoint)
  turn = math.min(math.max(turn + 1, now * TURNS + 1), last_place)
  call('ZADD', READY, whole(turn), endpoint)
end

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

-- Leases up to so many deliveries of an endpoint. Gives how many, and whether more are due.
local function lease_of(endpoint, wanted)
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
  if due <= now then
    go_behind(endpoint)
    return #taken, true
  end
  call('ZADD', READY, whole(due * TURNS), endpoint)
  return #taken, false
end

local seen, given, deferred = {}, {}, {}
local served, has_more = {}, {}

-- Lets an endpoint have its turn, or what is left of it. Gives whether more is due of what it may have of this turn.
local function have_turn(endpoint, shown, most, share)
  local wanted = math.min(limit, most, share)
  local head = turn_head(answer, endpoint, shown)
  local taken, more
  -- Whoever is ordered has a burst of 1.
  if shown[5] == '1' and call('HEXISTS', endpoint_of(endpoint), 'z') == 1 then
    taken, more = lease_in_order(endpoint), false
  else
    taken, more = lease_of(endpoint, wanted)
  end
  answer[head] = taken
  served[#served + 1], has_more[endpoint] = endpoint, more
  limit = limit - taken
  given[shown[4]] = (given[shown[4]] or 0) + taken
  return more and most - taken
end

local line_is_over = false
while limit > 0 and not line_is_over and in_vain < IN_VAIN and #deferred < DEFERRED do
  local round = call('ZRANGEBYSCORE', READY, '-inf', whole(last_place), 'LIMIT', 0, math.min(limit, 64))
  if #round == 0 then break end
  for _, endpoint in ipairs(round) do
    -- Whoever comes by again went behind in this call, and so did everyone who follows.
    line_is_over = seen[endpoint]
    if limit == 0 or line_is_over or in_vain == IN_VAIN or #deferred == DEFERRED then break end
    seen[endpoint] = true
    local shown = call('HMGET', endpoint_of(endpoint), 'r', 'k', 'h', 't', 'm', 'a')
    local tenant = shown[4] or ''
    shown[4] = tenant
    local before = given[tenant] or 0
    local room, share = (rooms[tenant] or limit + before) - before, per_tenant - before
    local most = per_endpoint
    if shown[5] and tonumber(shown[5]) < most then most = tonumber(shown[5]) end
    if shown[6] and tonumber(shown[6]) < most then most = tonumber(shown[6]) end
    if room <= 0 or share <= 0 then
      in_vain = in_vain + 1
      go_behind(endpoint)
      if room > 0 then deferred[#deferred + 1] = { endpoint, shown, most } end
    else
      local left = have_turn(endpoint, shown, most, math.min(room, share))
      if left and left > 0 then deferred[#deferred + 1] = { endpoint, shown, left } end
    end
  end
end
-- All have had their turns: what is left over goes to those whose tenants had their share.
for _, one in ipairs(deferred) do
  local endpoint, shown, most = unpack(one)
  local before = given[shown[4]] or 0
  local room = (rooms[shown[4]] or limit + before) - before
  if limit == 0 then break end
  if room > 0 then have_turn(endpoint, shown, most, room) end
end

-- Who got nothing stands before those that got something.
if in_vain > 0 then
  for _, endpoint in ipairs(served) do
    if has_more[endpoint] then go_behind(endpoint) end
  end
end

answer[1] = next_turn()
if number >= first then
  call('HSET', STATE, 'lease', whole(number), 'turn', whole(turn), 'nonce', nonce, 'nonce_from', whole(first))
elseif turn ~= last_turn then
  call('HSET', STATE, 'turn', whole(turn))
end
-- With all permits given the owner comes back by itself when one is free again.
if limit > 0 then call('HSET', STATE, 'asleep', 1) end
return answer
