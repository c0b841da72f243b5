-- Keeps an endpoint's deliveries back. ARGV: tenant's id, endpoint, until. Gives 1, or nil where there is none such.
local tenant = call('ZSCORE', K .. ':tenants', ARGV[1])
local key = endpoint_of(ARGV[2])
local shown = call('HMGET', key, 'k', 't')
if not tenant or not shown[2] or tonumber(shown[2]) ~= tonumber(tenant) then return false end
call('HSET', key, 'k', whole(math.max(tonumber(shown[1]) or 0, tonumber(ARGV[3]))))
reposition(ARGV[2])
return 1
