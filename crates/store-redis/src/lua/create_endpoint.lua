-- Creates an endpoint. ARGV: tenant's id, endpoint, state, reason, parked until or '', version, updated, URL, the rest.
-- Gives 1, or nil where there is no such tenant. One that is there already was made by the same call, whose answer was
-- lost: ids are never given twice.
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
if not number then return false end
number = whole(tonumber(number))
if call('HGET', endpoint_of(ARGV[2]), 't') == number then return 1 end
local place = ordinal()
-- stylua: ignore
call('HSET', endpoint_of(ARGV[2]), 't', number, 'o', place, 's', ARGV[3], 'w', ARGV[4], 'v', ARGV[6], 'r', ordinal(), 'u', ARGV[7],
  'x', ARGV[8], 'd', ARGV[9])
if ARGV[5] ~= '' then call('HSET', endpoint_of(ARGV[2]), 'k', ARGV[5]) end
call('ZADD', K .. ':n:' .. number, place, ARGV[2])
touch(number)
return 1
