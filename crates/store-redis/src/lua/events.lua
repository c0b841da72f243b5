-- Reads events of a tenant with what became of their deliveries, as of one moment.
--
-- ARGV  tenant's id, what, then
--         'id'    an event's id
--         'event' an event's number
--         'list'  a bound of numbers or '+inf', limit
--       then 1 if the deliveries are wanted, too
-- Gives nil where there is no such tenant, or for each event
--       {number, envelope, record or '', for each delivery that is not final where it waits}
--       A delivery that is not final is: f in flight, q<due> in its queue, h<due> in that of a paused endpoint,
--       c<state><time> in a closed one; '' when it is final.
local found = call('ZSCORE', K .. ':tenants', ARGV[1])
if not found then return false end
local tenant = whole(tonumber(found))
local what = ARGV[2]

local function numbers()
  if what == 'event' then return { ARGV[3] }, ARGV[4] end
  if what == 'id' then return { call('HGET', K .. ':i:' .. tenant, ARGV[3]) or nil }, ARGV[4] end
  local list, bound, limit = K .. ':v:' .. tenant, ARGV[3], tonumber(ARGV[4])
  local all = {}
  -- The piece in which the bound lies, and the older ones.
  local from = 0
  while #all < limit do
    local chunk = call('ZREVRANGEBYSCORE', list, bound, '-inf', 'LIMIT', from, 1)[1]
    if not chunk then break end
    local piece = {}
    for _, number in ipairs(call('SMEMBERS', list .. ':' .. chunk)) do
      number = tonumber(number)
      if bound == '+inf' or number < tonumber(bound) then piece[#piece + 1] = number end
    end
    table.sort(piece, function(a, b) return a > b end)
    for i = 1, math.min(#piece, limit - #all) do all[#all + 1] = string.format('%010x', piece[i]) end
    from = from + 1
  end
  return all, ARGV[5]
end

local states = {}
local function state_of(endpoint)
  if states[endpoint] == nil then states[endpoint] = call('HMGET', endpoint_of(endpoint), 's', 'z', 'i') end
  return unpack(states[endpoint])
end

local closings
local function where(event, n, endpoint)
  local name = member(event, n)
  if call('HEXISTS', LEASES, name) == 1 then return 'f' end
  local state, ordered, changing = state_of(endpoint)
  local due
  if ordered or changing then
    due = due_in_queue(endpoint, name)
  else
    local queued = call('ZSCORE', queue_of(endpoint), name)
    due = queued and due_of(tonumber(queued))
  end
  if not due then
    closings = closings or call('HGETALL', CLOSINGS)
    local _, state, now = closing_of(name, closings)
    return state and 'c' .. state .. whole(now) or ''
  end
  return (state == PAUSED and 'h' or 'q') .. whole(due)
end

local answer = {}
local all, detailed = numbers()
for _, event in ipairs(all) do
  local envelope = call('GET', K .. ':e:' .. event)
  if envelope and whole((unpack_bytes('>I4', envelope, 15))) == tenant then
    local record = call('GET', record_of(event)) or ''
    local row = { event, envelope, record }
    if detailed == '1' then
      local targets = 19 + string.byte(envelope, 19)
      for n = 0, unpack_bytes('>I2', envelope) - 1 do
        local at = HEADER + SLOT * n + 1
        local open = record == '' or string.byte(record, at) == 0
        row[#row + 1] = open and where(event, n, string.sub(envelope, targets + 16 * n + 1, targets + 16 * n + 16)) or ''
      end
    end
    answer[#answer + 1] = row
  end
end
return answer
