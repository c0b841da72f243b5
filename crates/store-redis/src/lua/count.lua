-- Adds what was counted to what was there.
--
-- ARGV  for each: tenant's id or '', subject, stretch, page, place in it, for how many seconds it is kept, how many pages
--       are, what was counted
--       What was counted is JSON: [counters, queue, receiver], of which the last two are classes and counts in turn.
--
-- What was counted for somebody in stretches of one length is a hash of pages, each 64 stretches: frames `place:1 length:2
-- bytes`, in which the bytes are the same three lists (MessagePack).
--
-- A tenant's hashes have its number before the subject. What is counted for one that does not exist any more is dropped.
local FIELDS = 8

-- Adds lists of classes and counts.
local function add_classes(one, other)
  local counts, classes, sum = {}, {}, {}
  for _, list in ipairs({ one, other }) do
    for i = 1, #list, 2 do
      if not counts[list[i]] then classes[#classes + 1] = list[i] end
      counts[list[i]] = (counts[list[i]] or 0) + list[i + 1]
    end
  end
  table.sort(classes)
  for _, class in ipairs(classes) do
    sum[#sum + 1] = class
    sum[#sum + 1] = counts[class]
  end
  return sum
end

local function add(before, counted)
  for i, count in ipairs(before[1]) do counted[1][i] = (counted[1][i] or 0) + count end
  for i = 2, 3 do counted[i] = add_classes(before[i], counted[i]) end
  return counted
end

-- Where the frame of a place begins and ends; where one can be appended if there is none.
local function frame_at(page, place)
  local at = 1
  while at <= #page do
    local own, length = unpack_bytes('>BI2', page, at)
    if own == place then return at, at + 3 + length end
    at = at + 3 + length
  end
  return at, at
end

-- Adds to a page of a hash.
local function count(key, page, place, seconds, pages, counted)
  local bytes = call('HGET', key, page)
  local is_new = not bytes
  bytes = bytes or ''
  local from, to = frame_at(bytes, place)
  if to > from then counted = add(cmsgpack.unpack(string.sub(bytes, from + 3, to - 1)), counted) end
  local body = cmsgpack.pack(counted)
  local frame = pack('>BI2', place, #body) .. body
  call('HSET', key, page, string.sub(bytes, 1, from - 1) .. frame .. string.sub(bytes, to))
  if is_new then
    call('EXPIRE', key, seconds)
    for _, other in ipairs(call('HKEYS', key)) do
      if tonumber(other) <= tonumber(page) - tonumber(pages) then call('HDEL', key, other) end
    end
  end
end

for at = 1, #ARGV, FIELDS do
  local tenant, subject, stretch, page, place, seconds, pages, counted = unpack(ARGV, at, at + FIELDS - 1)
  local number = tenant == '' and '' or call('ZSCORE', K .. ':tenants', tenant)
  if number then
    local key = K .. ':h:' .. stretch .. ':' .. number .. subject
    count(key, page, tonumber(place), seconds, pages, cjson.decode(counted))
  end
end
return 1
