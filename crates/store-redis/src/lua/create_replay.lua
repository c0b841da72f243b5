-- Writes down a replay. ARGV: tenant's id, replay, version, what it is, 1 if it is running, how many of a tenant may run.
-- Gives 1; 't' where there is no such tenant, 'm' where as many of its replays run as may. One that is there already was
-- written by the same call.
--
-- A replay is `tenant's number, its version, what it is`, with spaces between.
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
if not number then return 't' end
number = whole(tonumber(number))
local key = replay_of(ARGV[2])
if call('EXISTS', key) == 1 then return 1 end
local own = REPLAYS .. ':' .. number
if ARGV[5] == '1' and call('ZINTERCARD', 2, RUNNING, own, 'LIMIT', ARGV[6]) == tonumber(ARGV[6]) then return 'm' end
local place = ordinal()
call('SET', key, number .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
call('ZADD', REPLAYS, place, ARGV[2])
call('ZADD', own, place, ARGV[2])
if ARGV[5] == '1' then call('ZADD', RUNNING, place, ARGV[2]) end
return 1
