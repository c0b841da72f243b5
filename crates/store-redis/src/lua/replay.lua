-- Reads a replay. ARGV: tenant's id, replay.
-- Gives 't' or 'r' where there is no such tenant or replay, or {version, what it is}.
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
if not number then return 't' end
local known = call('GET', replay_of(ARGV[2]))
local whose, version, said = string.match(known or '', '^(%d+) (%d+) (.*)$')
if whose ~= whole(tonumber(number)) then return 'r' end
return { version, said }
