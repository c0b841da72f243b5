-- Keeps an endpoint's deliveries back. ARGV: tenant's id, endpoint, until. Gives 1, or nil where there is none such.
local tenant = call('ZSCORE', K .. ':tenants', ARGV[1])
local key = endpoint_of(ARGV[2])
local shown = call('HMGET', key, 's', 'k', 't')
if not tenant or not shown[1] or tonumber(shown[3]) ~= tonumber(tenant) then return false end
local parked = math.max(tonumber(shown[2]) or 0, tonumber(ARGV[3]))
call('HSET', key, 'k', whole(parked))
reposition(ARGV[2], shown[1], parked)
return 1
