-- Leases what is due: endpoints take turns, the one first that has waited longest.
--
-- ARGV  epoch, now, limit, per endpoint, expiry, nonce of the call
-- Gives nil to whoever is not the owner, or
--       {next turn (ms) or '', number of the first lease,
--        then for each turn: endpoint, its revision, its parked-until or '', count,
--        then for each lease: member, due, attempts, failures}
--       The leases are numbered on from the first, in their order.
--
-- A call that is repeated with its nonce, because its answer was lost, gets what it had got.
local epoch, now, limit, per_endpoint = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local expiry, nonce = tonumber(ARGV[5]), ARGV[6]

local state = call('HMGET', STATE, 'epoch', 'owner', 'lease', 'turn', 'nonce', 'nonce_from')
if not state[2] or tonumber(state[1]) ~= epoch then return false end
-- Numbers follow the clock, so that one that a crash of Redis made it forget is not given again.
local number, turn = math.max(tonumber(state[3] or '0'), now * 64), tonumber(state[4] or '0')
local last_place = now * TURNS + TURNS - 1 -- of those whose turn can begin now

local function next_turn()
  local head = call('ZRANGE', READY, 0, 0, 'WITHSCORES')
  return head[1] and whole(math.floor(tonumber(head[2]) / TURNS)) or ''
end

local function turn_head(answer, endpoint)
  local shown = call('HMGET', endpoint_of(endpoint), 'r', 'k')
  answer[#answer + 1] = endpoint
  answer[#answer + 1] = shown[1] or ''
  answer[#answer + 1] = shown[2] or ''
  answer[#answer + 1] = 0
  return #answer
end

local function add_lease(answer, name, due, slot)
  answer[#answer + 1] = name
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
while limit > 0 do
  local round = call('ZRANGEBYSCORE', READY, '-inf', whole(last_place), 'LIMIT', 0, math.min(limit, 64))
  if #round == 0 then break end
  for _, endpoint in ipairs(round) do
    if limit == 0 then break end
    local wanted = math.min(limit, per_endpoint)
    -- One more than wanted, to know when there is more.
    local rows = call('ZRANGE', queue_of(endpoint), 0, wanted, 'WITHSCORES')
    local head = turn_head(answer, endpoint)
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
      kept[#kept + 1] = pack('>I6I6I6I6B', epoch, number, expiry, due, tried and 1 or 0) .. endpoint
    end
    answer[head] = #taken
    if #taken > 0 then
      call('ZREM', queue_of(endpoint), unpack(taken))
      call('HSET', LEASES, unpack(kept))
      limit = limit - #taken
    end
    local following = rows[#taken * 2 + 2]
    if not following then
      call('ZREM', READY, endpoint)
    else
      local due = due_of(tonumber(following))
      if due > now then
        call('ZADD', READY, whole(due * TURNS), endpoint)
      else
        turn = math.min(math.max(turn + 1, now * TURNS + 1), last_place)
        call('ZADD', READY, whole(turn), endpoint)
      end
    end
  end
end
answer[1] = next_turn()
if number >= first then
  call('HSET', STATE, 'lease', whole(number), 'turn', whole(turn), 'nonce', nonce, 'nonce_from', whole(first))
end
-- With all permits given the owner comes back by itself when one is free again.
if limit > 0 then call('HSET', STATE, 'asleep', 1) end
return answer
