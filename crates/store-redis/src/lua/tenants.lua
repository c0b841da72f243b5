-- The partition's tenants whose numbers are below a bound, newest first. ARGV: bound, limit.
-- Gives for each: number, id, name, created, updated, signature.
local rows = call('ZREVRANGEBYSCORE', K .. ':tenants', '(' .. ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local answer = {}
for i = 1, #rows, 2 do
  local shown = call('HMGET', K .. ':t:' .. whole(tonumber(rows[i + 1])), 'name', 'created', 'updated', 'signature')
  for _, field in ipairs({ rows[i + 1], rows[i], shown[1], shown[2], shown[3], shown[4] or '' }) do answer[#answer + 1] = field end
end
return answer
