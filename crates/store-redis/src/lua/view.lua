-- What a tenant's events are matched against. ARGV: tenant's id.
-- Gives nil where there is none, or {number, version, topics version, endpoints in the order of their making}.
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
if not number then return false end
number = whole(tonumber(number))
local endpoints = {}
for _, endpoint in ipairs(call('ZRANGE', K .. ':n:' .. number, 0, -1)) do
  local shown = call('HMGET', endpoint_of(endpoint), 's', 'w', 'k', 'h', 'v', 'u', 'x', 'd')
  endpoints[#endpoints + 1] = { endpoint, unpack(shown) }
end
return { number, call('HGET', K .. ':t:' .. number, 'version'), call('HGET', STATE, 'topics') or '0', endpoints }
