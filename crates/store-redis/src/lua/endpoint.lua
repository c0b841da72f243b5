-- An endpoint of a tenant. ARGV: tenant's id, endpoint. Gives nil, or its fields.
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
local shown = call('HMGET', endpoint_of(ARGV[2]), 't', 's', 'w', 'k', 'h', 'v', 'u', 'x', 'd')
if not number or not shown[1] or tonumber(shown[1]) ~= tonumber(number) then return false end
return { ARGV[2], unpack(shown, 2) }
