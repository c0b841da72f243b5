-- Deletes an endpoint. ARGV: tenant's id, endpoint, now. Gives 1, or nil where there is none.
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
local owner = call('HGET', endpoint_of(ARGV[2]), 't')
if not number or not owner or tonumber(owner) ~= tonumber(number) then return false end
delete_endpoint(ARGV[2], tonumber(ARGV[3]))
call('ZREM', K .. ':n:' .. owner, ARGV[2])
touch(owner)
return 1
