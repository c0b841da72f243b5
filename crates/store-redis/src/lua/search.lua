-- Searches events, or their deliveries, in the order of their numbers, from a place on.
--
-- ARGV  tenant's id, or '' for all; in which list: 'e' all events, 't' those of trouble, 'p' those of an endpoint's trouble;
--       'n' newest first, 'o' oldest first; the place: an event's number and a delivery in its fan-out; how many rows are
--       wanted, how much may be looked at; then what they have to be, each '' where it does not matter: accepted at or
--       after, accepted before, topic, event's id, endpoint; then what is wanted: 'd' deliveries, 'e' events, 'u' those that
--       matched nobody; then of deliveries: the codes of their states, or '' for any; 1 if an attempt has failed; the first
--       and the last status, or '' each; the code of the error class, or ''
-- Gives nil where there is no such tenant, or {the next place: number, in its fan-out; when the last event that was looked
--       at was accepted, or ''; 1 if there is nothing behind it, else 0; the first number that was looked at, or '';
--       then for each event
--         {number, tenant's id, envelope} or, with deliveries,
--         {number, tenant's id, accepted, id, topic, for each: place in its fan-out, endpoint, slot or '',
--          where it waits or ''}}
--
-- Codes of states are those of records, and the letters of places (`common/shown.lua`), n for nowhere.
--
-- A place is where the search goes on: oldest first with that delivery, newest first with the one before it. What is in a
-- queue that was closed has not been written down as troubled yet: until it is, who looks for that looks at all events.
local TOGETHER = 4194304 -- bytes that are answered at once, beside the last event
local HEAD = 256 -- bytes of an envelope that mostly hold what a search needs
local ROUND = 256 -- numbers that are tried at once
local GONE, PART = 0.1, 0.25 -- what an event that is gone or beyond, and a delivery, add to what was looked at: an event adds 1
local PASSED = 0.002 -- what a delivery adds that is passed over in the fan-out
local APART = 60000 -- by how many milliseconds at the most clocks that are right let events be in another order than their times
local ALIKE = 64 -- events in a row that are beyond a bound of time: of fewer the clock may have been wrong

local newest = ARGV[3] == 'n'
local from, from_n = tonumber(ARGV[4]), tonumber(ARGV[5])
local wanted, window = tonumber(ARGV[6]), tonumber(ARGV[7])
local since, before = tonumber(ARGV[8]), tonumber(ARGV[9])
local topic, id, endpoint, what = ARGV[10], ARGV[11], ARGV[12], ARGV[13]

-- What is wanted of a delivery, where anything is.
local states, failed, first_status, last_status, error = ARGV[14], ARGV[15] == '1', nil, nil, tonumber(ARGV[18])
if ARGV[16] ~= '' then first_status, last_status = tonumber(ARGV[16]), tonumber(ARGV[17]) end
local judged = failed or first_status or error
-- Whether who is meant was in the index of trouble before its queue was closed.
local was_troubled = failed or error or (first_status and (last_status < 200 or first_status > 299))

-- Whether something in a queue that was closed may have come to one of the states by that.
local function may_be_closed()
  known_closings = closings_by_endpoint()
  for of, closings in pairs(known_closings) do
    for _, closing in ipairs(endpoint == '' and closings or of == endpoint and closings or {}) do
      if string.find(states, string.byte(closing[2]), 1, true) then return true end
    end
  end
  return false
end
local closed_too = string.find(states, '[' .. SKIPPED .. CANCELLED .. ']') and may_be_closed()

local tenant
if ARGV[1] ~= '' then
  local found = call('ZSCORE', K .. ':tenants', ARGV[1])
  if not found then return false end
  tenant = whole(tonumber(found))
end

-- The list that is searched, and whether its numbers are counted from the beginning of their piece; nil: every number is tried.
local list, relative
local state = call('HMGET', STATE, 'seq', 'floor', 'unindexed')
if ARGV[2] == 'e' or state[3] ~= '0' or (closed_too and not was_troubled) then
  list = tenant and K .. ':v:' .. tenant
else
  local whose = tenant or EVERYBODY
  if ARGV[2] == 'p' then whose = name_of_endpoint(endpoint) end
  list, relative = trouble_of(whose), true
end
local lowest, highest = tonumber(state[2] or '0') + 1, tonumber(state[1] or '0')

-- When an event was accepted; nil if it is gone.
local function accepted_at(number)
  local bytes = call('GETRANGE', K .. ':e:' .. string.format('%010x', number), 2, 7)
  return #bytes == 6 and unpack_bytes('>I6', bytes) or nil
end

-- The numbers in a piece, ascending.
local function numbers_of(piece)
  local start, numbers = relative and tonumber(piece, 16) or 0, {}
  for i, number in ipairs(call('SMEMBERS', list .. ':' .. piece)) do numbers[i] = start + tonumber(number) end
  table.sort(numbers)
  return numbers
end

-- The numbers at a place and behind it, some of them, in the order of the search; and the place behind these, nil if there
-- is nothing.
local function candidates(place)
  local numbers = {}
  if not list then
    place = newest and math.min(place, highest) or math.max(place, lowest)
    local last = newest and math.max(place - ROUND + 1, lowest) or math.min(place + ROUND - 1, highest)
    for number = place, last, newest and -1 or 1 do numbers[#numbers + 1] = number end
    if newest then return numbers, last > lowest and last - 1 or nil end
    return numbers, last < highest and last + 1 or nil
  end
  local row = call('ZREVRANGEBYSCORE', list, whole(place), '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if not row[1] and not newest then
    row = call('ZRANGEBYSCORE', list, whole(place), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  end
  if not row[1] then return numbers, nil end
  local all, start = numbers_of(row[1]), tonumber(row[2])
  if newest then
    for i = #all, 1, -1 do
      if all[i] <= place then numbers[#numbers + 1] = all[i] end
    end
    return numbers, start > 0 and start - 1 or nil
  end
  for _, number in ipairs(all) do
    if number >= place then numbers[#numbers + 1] = number end
  end
  local following = call('ZRANGEBYSCORE', list, '(' .. whole(start), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  return numbers, following and tonumber(following)
end

-- Whether an event was accepted beyond a bound: before `oldest`, or at `youngest` or after, each by more than clocks differ.
local function is_beyond(when, oldest, youngest)
  return (oldest and when < oldest - APART) or (youngest and when >= youngest + APART) or false
end

-- Whether the events at a place and behind it are beyond; nil if nothing is known of what is there.
local function begins_beyond(place, oldest, youngest)
  local alike, tried = 0, 0
  while place and alike < ALIKE do
    local numbers, following = candidates(place)
    for _, number in ipairs(numbers) do
      local when = accepted_at(number)
      if when and not is_beyond(when, oldest, youngest) then return false end
      if when then alike = alike + 1 end
      tried = tried + 1
      if alike == ALIKE then break end
      if tried == ROUND then return nil end
    end
    place = following
  end
  if alike > 0 then return true end
end

-- Passes over what is too young, newest first, or too old, oldest first, where that is much: halves what is left until
-- there is little. Gives the place where the search can begin.
local function pass_over(place)
  local oldest, youngest = not newest and since, newest and before
  -- Whoever goes on has passed over it.
  if not (oldest or youngest) or newest and from <= highest or not newest and from > 0 then return place end
  local low, high = 0, (list and call('ZCARD', list) or highest - lowest + 1) - 1
  -- Newest first the first that is beyond is looked for, oldest first the last one.
  local found
  while low <= high do
    local middle = math.floor((low + high) / 2)
    local number = lowest + middle
    if list then number = tonumber(call('ZRANGE', list, middle, middle, 'WITHSCORES')[2]) end
    local beyond = begins_beyond(number, oldest, youngest)
    -- What is found already is right.
    if beyond == nil then break end
    if beyond then found = number end
    if beyond == newest then
      high = middle - 1
    else
      low = middle + 1
    end
  end
  if not found then return place end
  if newest then return math.min(place, found - 1) end
  return math.max(place, found)
end

local ids = {}
-- The id of the tenant of an event; nil if it is not searched for, or deleted.
local function whose(number)
  if tenant then return number == tenant and ARGV[1] or nil end
  if ids[number] == nil then
    ids[number] = call('ZRANGEBYSCORE', K .. ':tenants', number, number)[1] or false
  end
  return ids[number] or nil
end

local answer = { whole(from), from_n, '', 0, '' }
local rows, looked, bytes, reached = 0, 0, 0, nil
local over, stopped, beyond = false, false, 0

-- Whether one that is not final by its slot can be meant.
local open_too = states == '' or string.find(states, '[fqhn]') or closed_too

-- Whether a delivery is meant, and where it waits, '' if it is final.
local function judge(event, n, own, slot)
  local state = 0
  if slot ~= '' then
    local code, status, attempts, failures
    state, code, status, attempts, failures = unpack_bytes('>BBHHH', slot)
    if judged then
      if attempts == 0 then return false end
      if failed and failures == 0 then return false end
      if error and code ~= error then return false end
      if first_status and (code > 0 or status < first_status or status > last_status) then return false end
    end
  elseif judged then
    return false
  end
  if state ~= 0 then return states == '' or string.find(states, state, 1, true), '' end
  if not open_too then return false end
  looked = looked + PART
  local place = where(event, n, own)
  if states == '' then return true, place end
  local letter = string.sub(place, 1, 1)
  if letter == 'c' then letter = string.sub(place, 2, 2) end
  return string.find(states, letter == '' and 'n' or letter, 1, true), place
end

-- The place in a fan-out of the endpoint that is searched for; an event goes to an endpoint once.
local function place_of_endpoint(envelope, first_at, behind)
  local at = first_at - 1
  repeat
    at = string.find(envelope, endpoint, at + 1, true)
  until not at or (at - first_at) % 16 == 0
  return at and at < behind and (at - first_at) / 16
end

-- Adds an event with those of its deliveries that are meant. Gives in which of them it had to end.
local function add_deliveries(event, owner, envelope, count, accepted, length, topic_at, place_n)
  local row
  -- Which deliveries are looked at: from one to another, in the order of the search.
  local low, high = 0, count - 1
  if place_n and newest then high = math.min(high, place_n - 1) end
  if place_n and not newest then low = place_n end
  if endpoint ~= '' then
    looked = looked + PASSED * count
    local n = place_of_endpoint(envelope, 20 + length, topic_at)
    if not n or n < low or n > high then return end
    low, high = n, n
  end
  local slots = call('GETRANGE', record_of(event), HEADER + SLOT * low, HEADER + SLOT * (high + 1) - 1)
  for i = low, high do
    local n = newest and high - (i - low) or i
    if endpoint == '' and (rows >= wanted or looked >= window) then return newest and n + 1 or n end
    looked = looked + PART
    local at, from = 20 + length + 16 * n, SLOT * (n - low)
    local own = string.sub(envelope, at, at + 15)
    local slot = string.sub(slots, from + 1, from + SLOT)
    local meant, waits = judge(event, n, own, slot)
    if meant then
      rows, bytes = rows + 1, bytes + 64
      if not row then
        local id = string.sub(envelope, 20, 19 + length)
        local topic = string.sub(envelope, topic_at + 1, topic_at + string.byte(envelope, topic_at))
        row = { event, owner, whole(accepted), id, topic }
        answer[#answer + 1] = row
      end
      local to = #row
      row[to + 1], row[to + 2], row[to + 3], row[to + 4] = n, own, slot, waits
    end
  end
end

-- Looks at an event. Gives in which of its deliveries it had to end.
local function look_at(number, place_n)
  local event = string.format('%010x', number)
  local key = K .. ':e:' .. event
  local envelope = call('GETRANGE', key, 0, HEAD - 1)
  if #envelope < 20 then
    looked = looked + GONE
    return
  end
  local count, accepted, _, number_of_owner, length = unpack_bytes('>I2I6c6I4B', envelope)
  if is_beyond(accepted, newest and since, not newest and before) then
    looked, beyond = looked + GONE, beyond + 1
    -- Nothing behind them can be meant any more.
    over = beyond == ALIKE
    return
  end
  looked, reached, beyond = looked + 1, accepted, 0
  if since and accepted < since or before and accepted >= before or what == 'u' and count > 0 then return end
  local owner = whose(whole(number_of_owner))
  if not owner or id ~= '' and string.sub(envelope, 20, 19 + length) ~= id then return end
  local topic_at = 20 + length + 16 * count
  if topic_at > #envelope or topic_at + string.byte(envelope, topic_at) > #envelope then
    envelope = call('GETRANGE', key, 0, topic_at + 255)
  end
  local is_of_topic = topic == ''
    or (string.byte(envelope, topic_at) == #topic and string.sub(envelope, topic_at + 1, topic_at + #topic) == topic)
  if not is_of_topic then return end
  if what == 'd' then
    return add_deliveries(event, owner, envelope, count, accepted, length, topic_at, place_n)
  end
  envelope = call('GET', key)
  rows, bytes = rows + 1, bytes + #envelope
  answer[#answer + 1] = { event, owner, envelope }
end

-- Newest first, the place of a whole event is that of the first delivery of the one after it.
local place = newest and from_n == 0 and from - 1 or from
local passed = pass_over(place)
while passed and not over and not stopped do
  local numbers, following = candidates(passed)
  for _, number in ipairs(numbers) do
    if rows >= wanted or looked >= window or bytes >= TOGETHER then
      stopped = true
      break
    end
    if answer[5] == '' then answer[5] = whole(number) end
    local ended = look_at(number, number == from and from_n or nil)
    if over then break end
    if ended then
      answer[1], answer[2], stopped = whole(number), ended, true
      break
    end
    answer[1], answer[2] = whole(newest and number or number + 1), 0
  end
  passed = following
  over = over or (not stopped and not passed)
end
answer[3], answer[4] = reached and whole(reached) or '', over and 1 or 0
return answer
