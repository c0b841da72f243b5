-- Forgets events that are over, oldest first, up to a limit.
--
-- ARGV  limit, latest end of those that were delivered, latest end of those that failed, now
-- Gives {how many were forgotten, 1 if there may be more}
--
-- An event stands in line once for each time that it became over: what does not agree with its record is an old entry.
local limit = tonumber(ARGV[1])

local function is_over(event, ended)
  local head = call('GETRANGE', record_of(event), 0, HEADER - 1)
  if #head < HEADER then return true end
  local open, when = unpack_bytes('>I3I6B', head)
  return open == 0 and when == ended
end

-- Whether the period of an event that has one of its own ended at a time.
local function has_ended(event, time)
  local period = tonumber(call('HGET', PERIODS, event) or '0')
  return is_over(event, time - period)
end

local function forget(event)
  local bytes = call('GETRANGE', K .. ':e:' .. event, 0, 146)
  if #bytes == 0 then return 0 end
  local tenant, length = unpack_bytes('>I4B', bytes, 15)
  local id = string.sub(bytes, 20, 19 + length)
  tenant = whole(tenant)
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
    if is_over(event, ended) then removed = removed + forget(event) end
  end
end
if limit > 0 then
  local late = call('ZRANGE', K .. ':g', '-inf', ARGV[3], 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
  for i = 1, #late, 2 do
    call('ZREM', K .. ':g', late[i])
    limit = limit - 1
    if is_over(late[i], tonumber(late[i + 1])) then removed = removed + forget(late[i]) end
  end
end
if limit > 0 then
  local over = call('ZRANGE', KEPT, '-inf', '(' .. ARGV[4], 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
  for i = 1, #over, 2 do
    call('ZREM', KEPT, over[i])
    limit = limit - 1
    if has_ended(over[i], tonumber(over[i + 1])) then
      removed = removed + forget(over[i])
      call('HDEL', PERIODS, over[i])
    end
  end
end
return { removed, limit == 0 and 1 or 0 }
