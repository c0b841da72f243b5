-- Creates an endpoint. ARGV: tenant's id, endpoint, state, reason, parked until or '', version, updated, URL, the rest,
-- burst or '', 1 if it is ordered, health or ''.
-- Gives 1, or nil where there is no such tenant. One that is there already was made by the same call, whose answer was
-- lost: ids are never given twice.
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
if not number then return false end
number = whole(tonumber(number))
local key = endpoint_of(ARGV[2])
if call('HGET', key, 't') == number then return 1 end
local place = ordinal()
-- stylua: ignore
call('HSET', key, 't', number, 'o', place, 's', ARGV[3], 'w', ARGV[4], 'v', ARGV[6], 'r', ordinal(), 'u', ARGV[7],
  'x', ARGV[8], 'd', ARGV[9])
if ARGV[5] ~= '' then call('HSET', key, 'k', ARGV[5]) end
if ARGV[10] ~= '' then call('HSET', key, 'm', ARGV[10]) end
if ARGV[11] == '1' then call('HSET', key, 'z', 0) end
if ARGV[12] ~= '' then call('HSET', key, 'h', ARGV[12]) end
call('ZADD', K .. ':n:' .. number, place, ARGV[2])
touch(number)
return 1
