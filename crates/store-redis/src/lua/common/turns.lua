-- Whose turn it is: READY has each enabled endpoint whose queue is not empty, by when its turn can begin.
--
-- A place is a millisecond times TURNS, plus the number of a turn within it: whoever had a turn goes behind everyone
-- who was due by then, in the order of the turns. A queue's score is twice the millisecond at which a delivery is due,
-- plus one if something is recorded of it already. Both are exact in a double until the year 2109.
local TURNS = 2048

local function queue_of(endpoint)
  return K .. ':q:' .. endpoint
end

local function score(due, tried)
  return whole(due * 2 + (tried and 1 or 0))
end

local function due_of(queue_score)
  return math.floor(queue_score / 2)
end

-- An endpoint's turn can begin at `due`, or earlier if it could already. Whoever is in line keeps the place.
local function ready_by(endpoint, due, parked, now)
  if parked and parked > due then due = parked end
  local place = whole(due * TURNS)
  if call('ZADD', READY, 'NX', place, endpoint) == 1 then return end
  if tonumber(call('ZSCORE', READY, endpoint)) >= (now + 1) * TURNS then
    call('ZADD', READY, 'LT', place, endpoint)
  end
end

-- Gives an endpoint the place that its queue, its state and its pause ask for, whatever place it had.
local function reposition(endpoint, state, parked)
  local head = state == ENABLED and call('ZRANGE', queue_of(endpoint), 0, 0, 'WITHSCORES') or {}
  if not head[1] then
    call('ZREM', READY, endpoint)
    return
  end
  local due = due_of(tonumber(head[2]))
  if parked and parked > due then due = parked end
  call('ZADD', READY, whole(due * TURNS), endpoint)
end
