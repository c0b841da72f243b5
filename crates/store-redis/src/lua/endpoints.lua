-- A tenant's endpoints, newest first. ARGV: tenant's id, bound of their places or '+inf', limit.
-- Gives nil where there is no such tenant, or for each: its place, its fields.
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
if not number then return false end
local list = K .. ':n:' .. whole(tonumber(number))
local answer = {}
local rows = call('ZREVRANGEBYSCORE', list, '(' .. ARGV[2], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
for i = 1, #rows, 2 do
  local shown = call('HMGET', endpoint_of(rows[i]), 's', 'w', 'k', 'h', 'v', 'u', 'x', 'd')
  answer[#answer + 1] = { rows[i + 1], rows[i], unpack(shown) }
end
return answer
