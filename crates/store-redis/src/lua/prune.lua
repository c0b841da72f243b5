-- Forgets events that are over, oldest first, up to a limit.
--
-- ARGV  limit, latest end of those that were delivered, latest end of those that failed, now
-- Gives {how many were forgotten, 1 if there may be more, 1 if there are events that the index of trouble does not know}
--
-- An event stands in line once for each time that it became over: what does not agree with its record is an old entry.
local STEPS = 2000 -- numbers of events that are gone which one call notes
local limit = tonumber(ARGV[1])

-- Whether an event is over since a time; and whether it is in the index of trouble.
local function is_over(event, ended)
  local head = call('GETRANGE', record_of(event), 0, HEADER - 1)
  if #head < HEADER then return true, false end
  local open, when, marks = unpack_bytes('>I3I6B', head)
  return open == 0 and when == ended, marks >= TROUBLED
end

-- Whether the period of an event that has one of its own ended at a time.
local function has_ended(event, time)
  local period = tonumber(call('HGET', PERIODS, event) or '0')
  return is_over(event, time - period)
end

-- Takes an event out of every index of trouble that it may be in: what was troubled may not be any more, and is in it all
-- the same. A large fan-out counts as more than one event.
local function forget_trouble(event, tenant, envelope)
  local number, count = tonumber(event, 16), unpack_bytes('>I2', envelope)
  local from = 19 + string.byte(envelope, 19)
  local targets = call('GETRANGE', K .. ':e:' .. event, from, from + 16 * count - 1)
  take_out(trouble_of(EVERYBODY), number)
  take_out(trouble_of(tenant), number)
  for at = 1, #targets, 16 do
    take_out(trouble_of(name_of_endpoint(string.sub(targets, at, at + 15))), number)
  end
  limit = limit - math.floor(count / 10)
end

-- Few partitions have any.
local has_places = call('EXISTS', PLACES) == 1

-- Forgets the places that deliveries of an event were given. A large fan-out counts as more than one event.
local function forget_places(event, count)
  for n = 0, count - 1 do call('HDEL', PLACES, member(event, n)) end
  limit = limit - math.floor(count / 10)
end

local function forget(event, troubled)
  local bytes = call('GETRANGE', K .. ':e:' .. event, 0, 146)
  if #bytes == 0 then return 0 end
  local tenant, length = unpack_bytes('>I4B', bytes, 15)
  if has_places then forget_places(event, (unpack_bytes('>I2', bytes))) end
  local id = string.sub(bytes, 20, 19 + length)
  tenant = whole(tenant)
  if troubled then forget_trouble(event, tenant, bytes) end
  call('DEL', K .. ':e:' .. event, record_of(event))
  call('HDEL', K .. ':i:' .. tenant, id)
  local list = K .. ':v:' .. tenant
  local number = tonumber(event, 16)
  local chunk = call('ZREVRANGEBYSCORE', list, number, '-inf', 'LIMIT', 0, 1)[1]
  if chunk then
    local piece = list .. ':' .. chunk
    call('SREM', piece, number)
    if call('EXISTS', piece) == 0 then
      call('ZREM', list, chunk)
      -- The next event of the tenant begins a piece of its own.
      if call('HGET', K .. ':t:' .. tenant, 'chunk') == chunk then
        call('HDEL', K .. ':t:' .. tenant, 'chunk', 'fill')
      end
    end
  end
  return 1
end

local removed = 0
for line, latest in pairs({ [K .. ':d'] = tonumber(ARGV[2]), [K .. ':f'] = tonumber(ARGV[3]) }) do
  while limit > 0 do
    local entry = call('LINDEX', line, 0)
    if not entry then break end
    local event, ended = string.sub(entry, 1, 10), tonumber(string.sub(entry, 11))
    if ended > latest then break end
    call('LPOP', line)
    limit = limit - 1
    local over, troubled = is_over(event, ended)
    if over then removed = removed + forget(event, troubled) end
  end
end
if limit > 0 then
  local late = call('ZRANGE', K .. ':g', '-inf', ARGV[3], 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
  for i = 1, #late, 2 do
    if limit <= 0 then break end
    call('ZREM', K .. ':g', late[i])
    limit = limit - 1
    local over, troubled = is_over(late[i], tonumber(late[i + 1]))
    if over then removed = removed + forget(late[i], troubled) end
  end
end
if limit > 0 then
  local over = call('ZRANGE', KEPT, '-inf', '(' .. ARGV[4], 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
  for i = 1, #over, 2 do
    if limit <= 0 then break end
    call('ZREM', KEPT, over[i])
    limit = limit - 1
    local ended, troubled = has_ended(over[i], tonumber(over[i + 1]))
    if ended then
      removed = removed + forget(over[i], troubled)
      call('HDEL', PERIODS, over[i])
    end
  end
end
-- Up to where everything is gone: no search goes below that.
local state = call('HMGET', STATE, 'seq', 'floor', 'unindexed')
local last, before = tonumber(state[1] or '0'), tonumber(state[2] or '0')
local floor = before
while floor < math.min(last, before + STEPS) and call('EXISTS', K .. ':e:' .. string.format('%010x', floor + 1)) == 0 do
  floor = floor + 1
end
if floor > before then call('HSET', STATE, 'floor', whole(floor)) end
return { removed, limit <= 0 and 1 or 0, (state[3] or '0') == '0' and 0 or 1 }
