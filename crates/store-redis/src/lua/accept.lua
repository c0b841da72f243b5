-- Accepts events: each group of them, which is one tenant's, all or none.
--
-- ARGV  channel, then for each group
--         tenant number, view version, topics version, count, then for each event
--           id, time of acceptance, wishes, targets, envelope
--       A target is an endpoint's id (16 bytes) and the state that the view shows for it (1 byte). Wishes are '', or when
--       the event is due, a comma, and how long it is kept, if it says so itself.
-- Gives for each group
--       the number that its first event got, the others follow; or
--       {} when the view is stale; or
--       {place, number, ...} of the events whose ids were used before, and nothing is written.
--
-- A client that lost the answer asks again, finds the ids used, and knows its own envelopes by their nonce.
local CHUNK = 256 -- events in a piece of a tenant's list
local BATCH = 1000 -- what `unpack` is sure to take
local FIELDS = 5

local state = call('HMGET', STATE, 'seq', 'topics')
local last, topics = tonumber(state[1] or '0'), state[2] or '0'
local first_of_all = last
local due_now = false
local answers = {}

-- Which ids of the group were used before.
local function used_before(tenant, at, count)
  local used = {}
  for from = 0, count - 1, BATCH do
    local ids = {}
    for i = from, math.min(from + BATCH, count) - 1 do ids[#ids + 1] = ARGV[at + i * FIELDS] end
    local found = call('HMGET', K .. ':i:' .. tenant, unpack(ids))
    for i = 1, #ids do
      if found[i] then
        used[#used + 1] = from + i - 1
        used[#used + 1] = found[i]
      end
    end
  end
  return used
end

-- Appends events to the tenant's list, which is kept in pieces: each a set of numbers that Redis packs tightly.
local function list(tenant, chunk, fill, from, to)
  while from <= to do
    if not chunk or fill >= CHUNK then
      chunk, fill = string.format('%010x', from), 0
      call('ZADD', K .. ':v:' .. tenant, from, chunk)
    end
    local numbers = {}
    for number = from, math.min(to, from + CHUNK - fill - 1) do numbers[#numbers + 1] = whole(number) end
    call('SADD', K .. ':v:' .. tenant .. ':' .. chunk, unpack(numbers))
    fill, from = fill + #numbers, from + #numbers
  end
  call('HSET', K .. ':t:' .. tenant, 'chunk', chunk, 'fill', fill)
end

-- An event says how long it is kept: it has a record from the beginning, which is marked.
local function keep(event, accepted, period, count)
  call('HSET', PERIODS, event, period)
  call('SET', record_of(event), pack('>I3I6B', count, accepted, OWN_PERIOD) .. string.rep(NO_SLOT, count))
end

-- Puts an event's deliveries where they wait. Those of disabled endpoints are over.
local function fan_out_to(event, accepted, wishes, targets)
  local count = #targets / 17
  local due, marks = accepted, 0
  if wishes ~= '' then
    local when, period = string.match(wishes, '^(%d+),(%d*)$')
    due = tonumber(when)
    if period ~= '' then
      keep(event, accepted, period, count)
      marks = OWN_PERIOD
    end
  end
  if count == 0 then stand_in_line(event, accepted, marks, false) end
  for n = 0, count - 1 do
    local endpoint = string.sub(targets, n * 17 + 1, n * 17 + 16)
    local shown = string.sub(targets, n * 17 + 17, n * 17 + 17)
    if shown == DISABLED then
      local slot = { state = SKIPPED, error = 0, status = 0, attempts = 0, failures = 0, completed = accepted }
      write_record(event, n, count, slot, '', true)
    else
      enqueue(endpoint, member(event, n), shown, accepted, due)
      due_now = due_now or shown == ENABLED
    end
  end
end

local at = 2
while at <= #ARGV do
  local tenant, version, topics_version, count = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  at = at + 4
  local shown = call('HMGET', K .. ':t:' .. tenant, 'version', 'chunk', 'fill')
  local answer
  if shown[1] ~= version or topics ~= topics_version then
    answer = {}
  elseif count == 0 then
    answer = last
  else
    local used = used_before(tenant, at, count)
    if #used > 0 then
      answer = used
    else
      answer = last + 1
      local pairs_of_ids = {}
      for i = at, at + (count - 1) * FIELDS, FIELDS do
        last = last + 1
        local event = string.format('%010x', last)
        call('SET', K .. ':e:' .. event, ARGV[i + 4])
        fan_out_to(event, tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3])
        pairs_of_ids[#pairs_of_ids + 1] = ARGV[i]
        pairs_of_ids[#pairs_of_ids + 1] = event
        if #pairs_of_ids >= BATCH or last - answer == count - 1 then
          call('HSET', K .. ':i:' .. tenant, unpack(pairs_of_ids))
          pairs_of_ids = {}
        end
      end
      list(tenant, shown[2], tonumber(shown[3] or '0'), answer, last)
    end
  end
  answers[#answers + 1] = answer
  at = at + count * FIELDS
end
if last > first_of_all then call('HSET', STATE, 'seq', whole(last)) end
if due_now then wake(ARGV[1]) end
return answers
