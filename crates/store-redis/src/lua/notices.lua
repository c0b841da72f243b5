-- What operators are to be told, oldest first. What is about tenants that are deleted is forgotten, so that it is not in
-- the way of the rest.
--
-- ARGV  how many are wanted, how many are looked at, number of the last one that was, or ''
-- Gives {number of the last one that was looked at, or '' if there are no more}, and for each
--       its number, the tenant's id, and the notice without its number
local wanted, most, after = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '' and '-inf' or '(' .. ARGV[3]
local rows = call('ZRANGEBYSCORE', NOTICES, after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
local answer = { #rows == 2 * most and rows[#rows] or '' }
for i = 1, #rows, 2 do
  local number = unpack_bytes('>I4', rows[i], 8)
  local tenant = call('ZRANGEBYSCORE', K .. ':tenants', number, number)[1]
  if not tenant then
    call('ZREM', NOTICES, rows[i])
  elseif wanted > 0 then
    wanted = wanted - 1
    for _, part in ipairs({ rows[i + 1], tenant, string.sub(rows[i], 7) }) do answer[#answer + 1] = part end
  end
end
return answer
