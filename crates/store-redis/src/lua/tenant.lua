-- A tenant. ARGV: id. Gives nil, or {number, name, created, updated, signature}.
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
if not number then return false end
local shown = call('HMGET', K .. ':t:' .. whole(tonumber(number)), 'name', 'created', 'updated', 'signature')
return { number, shown[1], shown[2], shown[3], shown[4] or '' }
