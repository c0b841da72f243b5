-- The line: who comes up, and who has to wait for room. Whoever comes up and has something due afterwards keeps the place
-- until the call has looked at everybody, so that nobody comes up twice.
local ROUND = 64 -- who stands in line is asked for in rounds
local WIDE_ROUND = 1000 -- after one in which nobody was given anything
local BATCH = 1000 -- what `unpack` is sure to take

-- By tenant: how many may be given to it, where that is bounded; how many were; and which of its endpoints came up and
-- got nothing.
local rooms, given, waiting = {}, {}, {}
-- The tenants of which somebody waits; whether endpoints of a tenant were taken from where they are set aside; and
-- whether it was given some of the rest.
local held, taken_from, had_rest = {}, {}, {}
-- The endpoints that had a turn, or a step.
local served = {}

for from = ROOMS, THROTTLES - 1, 2 * BATCH do
  local ids = {}
  for at = from, math.min(from + 2 * BATCH, THROTTLES) - 1, 2 do ids[#ids + 1] = ARGV[at] end
  for i, tenant in ipairs(call('ZMSCORE', K .. ':tenants', unpack(ids))) do
    if tenant then rooms[whole(tonumber(tenant))] = tonumber(ARGV[from + 2 * i - 1]) end
  end
end

-- How many a tenant may be given yet, if it may have that share of the call.
local function room_of(tenant, share)
  local before = given[tenant] or 0
  return math.min(limit, share - before, (rooms[tenant] or math.huge) - before)
end

local function hold(tenant)
  if waiting[tenant] then return end
  waiting[tenant], held[#held + 1] = {}, tenant
end

-- Lets an endpoint have its turn, or go on changing. Gives how many it was given.
local function serve(shown, room)
  if not shown.came_up then served[#served + 1] = shown end
  if shown.changing then
    go_on_changing(shown)
    return 0
  end
  local taken = have_turn(shown, room)
  given[shown.tenant] = (given[shown.tenant] or 0) + taken
  return taken
end

-- Lets endpoints that were set aside have their turns.
local function serve_aside(tenant, share)
  local aside = aside_of(tenant)
  while room_of(tenant, share) > 0 do
    local round = call('ZRANGE', aside, 0, math.min(room_of(tenant, share), ROUND) - 1)
    if #round == 0 then return end
    for _, endpoint in ipairs(round) do
      local room = room_of(tenant, share)
      if room <= 0 or is_tired() then return end
      call('ZREM', aside, endpoint)
      call('HDEL', endpoint_of(endpoint), 'y')
      taken_from[tenant] = true
      serve(look_at(endpoint), room)
    end
  end
end

-- Gives whether something due was left.
local function come_up(name)
  local tenant = tenant_in_line(name)
  if tenant then
    -- No look in vain: no more tenants come up than the caller said to have no room, or are given something.
    hold(tenant)
    serve_aside(tenant, per_tenant)
    return true
  end
  local shown = look_at(name)
  local room = room_of(shown.tenant, per_tenant)
  if room > 0 then
    serve(shown, room)
    return shown.more
  end
  in_vain = in_vain + 1
  hold(shown.tenant)
  table.insert(waiting[shown.tenant], shown)
  return true
end

-- Everybody comes up once.
local function go_through()
  local behind, wanted = 0, math.min(limit, ROUND)
  while limit > 0 and not unseen do
    local before = limit
    local round = call('ZRANGEBYSCORE', READY, '-inf', whole(last_place), 'LIMIT', behind, wanted)
    if #round == 0 then return end
    for _, name in ipairs(round) do
      if limit == 0 or is_tired() then return end
      if come_up(name) then behind = behind + 1 end
    end
    wanted = limit < before and ROUND or WIDE_ROUND
  end
end

-- What is left over goes to those whose tenants had their share, first to who got nothing.
local function give_the_rest()
  local had_share = #served
  for _, tenant in ipairs(held) do
    local before = given[tenant]
    serve_aside(tenant, math.huge)
    for _, shown in ipairs(waiting[tenant]) do
      local room = room_of(tenant, math.huge)
      if room <= 0 or is_tired() then break end
      serve(shown, room)
    end
    had_rest[tenant] = given[tenant] ~= before
    if limit == 0 or unseen then return end
  end
  for i = 1, had_share do
    local shown = served[i]
    local room = room_of(shown.tenant, math.huge)
    if shown.more and shown.left > 0 and room > 0 then
      if is_tired() then return end
      shown.had_rest = serve(shown, room) > 0
    end
  end
end

-- Gives somebody the place behind everyone who waits.
local function go_behind(name)
  turn = math.min(math.max(turn + 1, now * TURNS + 1), last_place)
  call('ZADD', READY, whole(turn), name)
end

-- Whoever of a tenant got nothing is set aside. Gives whether the tenant goes behind: one that was only looked at keeps
-- its place, and costs nothing.
local function wait_for_room(tenant)
  local idle, name = {}, in_line(tenant)
  for _, shown in ipairs(waiting[tenant]) do
    if not shown.came_up then idle[#idle + 1] = shown.endpoint end
  end
  local got = taken_from[tenant] or had_rest[tenant]
  if #idle > 0 then
    set_aside(tenant, idle)
    return got or not call('ZSCORE', READY, name)
  end
  if got and call('EXISTS', aside_of(tenant)) == 0 then
    call('ZREM', READY, name)
    return false
  end
  return got
end

-- Whoever waits stands in line again: first the tenants of those who are set aside, then who had a turn, and behind all
-- of these who was given some of the rest: that of the next call is another's.
local function line_up()
  local others, last = {}, {}
  local function stand(name, with_rest)
    table.insert(with_rest and last or others, name)
  end
  for _, tenant in ipairs(held) do
    if wait_for_room(tenant) then stand(in_line(tenant), had_rest[tenant]) end
  end
  for _, shown in ipairs(served) do
    if shown.more then stand(shown.endpoint, shown.had_rest) end
  end
  for _, name in ipairs(others) do go_behind(name) end
  for _, name in ipairs(last) do go_behind(name) end
  -- What it has may not be due any more.
  if rearranged then reposition(rearranged, now) end
end
