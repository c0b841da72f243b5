-- Counts what is open, some endpoints at a time, and with the first of them what is in flight.
--
-- ARGV  tenant's id or '', endpoint or '', number of the tenant and place of its endpoint behind which it goes on ('' each at
--       first), how many endpoints and tenants are looked at (ordered ones count as several), now
-- Gives 't' or 'e' where there is no such tenant or endpoint, or
--       {how many wait, how many are in flight, when the one of them was due that has been so for longest, or '',
--        tenant and place where it goes on, '' each when everybody was looked at}
local AHEAD = 16 -- deliveries of an order among which the one is looked for that was due first
local ROWS = 8 -- how many of them take as long as an endpoint
local now = tonumber(ARGV[6])
local begins, left = ARGV[3] == '', tonumber(ARGV[5])
local waiting, in_flight, oldest = 0, 0, nil

local only
if ARGV[1] ~= '' then
  local found = call('ZSCORE', K .. ':tenants', ARGV[1])
  if not found then return 't' end
  only = whole(tonumber(found))
end

local owners = {}
-- The number of the tenant that has an endpoint; nil if there is none such.
local function owner_of(endpoint)
  if owners[endpoint] == nil then owners[endpoint] = call('HGET', endpoint_of(endpoint), 't') or false end
  return owners[endpoint] or nil
end

local function note_due(due)
  if due and due <= now and (not oldest or due < oldest) then oldest = due end
end

local function count_queue(endpoint)
  local queues, some = { queue_of(endpoint), old_queue_of(endpoint) }, 0
  for _, queue in ipairs(queues) do some = some + call('ZCARD', queue) end
  if some == 0 then return end
  waiting = waiting + some
  local state, ordered, changing = waits_at(endpoint)
  if state ~= ENABLED then return end
  for _, queue in ipairs(queues) do
    -- Where the order decides, whoever is behind may have been due before.
    local rows = call('ZRANGE', queue, 0, (ordered or changing) and AHEAD - 1 or 0, 'WITHSCORES')
    local names, dues = {}, {}
    for i = 1, #rows, 2 do names[#names + 1] = rows[i] end
    if (ordered or changing) and names[1] then dues = call('HMGET', due_times_of(endpoint), unpack(names)) end
    for i = 1, #names do note_due(tonumber(dues[i] or due_of(tonumber(rows[2 * i])))) end
    left = left - math.floor(#names / ROWS)
  end
end

local function count_leases()
  local all = call('HGETALL', LEASES)
  for i = 1, #all, 2 do
    local endpoint = string.sub(all[i + 1], 26, 41)
    local owner = kind_of(all[i]) == AUTOMATIC and (ARGV[2] == '' or ARGV[2] == endpoint) and owner_of(endpoint)
    if owner and (not only or owner == only) then in_flight = in_flight + 1 end
  end
end

if ARGV[2] ~= '' then
  if owner_of(ARGV[2]) ~= only then return 'e' end
  count_leases()
  count_queue(ARGV[2])
  return { waiting, in_flight, oldest and whole(oldest) or '', '', '' }
end

if begins then count_leases() end
local tenant, place = ARGV[3], ARGV[4]

-- The next tenant; nil if there is none.
local function following(number)
  if only then return number == '' and only or nil end
  local bound = number == '' and '-inf' or '(' .. number
  return call('ZRANGEBYSCORE', K .. ':tenants', bound, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
end

if begins then
  tenant, place = following(''), '-inf'
else
  place = '(' .. place
end
while tenant and left > 0 do
  tenant = whole(tonumber(tenant))
  local rows = call('ZRANGEBYSCORE', K .. ':n:' .. tenant, place, '+inf', 'WITHSCORES', 'LIMIT', 0, left)
  for i = 1, #rows, 2 do
    if left <= 0 then break end
    count_queue(rows[i])
    left, place = left - 1, rows[i + 1]
  end
  if left > 0 then
    left = left - 1
    place, tenant = '-inf', following(tenant)
    -- It goes on behind a place that no endpoint has.
    if left <= 0 and tenant then
      tenant, place = whole(tonumber(tenant)), '-1'
    end
  end
end
return { waiting, in_flight, oldest and whole(oldest) or '', tenant or '', tenant and place or '' }
