-- What operators are to be told, oldest first. ARGV: limit.
-- Gives for each: its number, the tenant's id, and the notice without its number. What is about tenants that are deleted is
-- forgotten, so that it is not in the way of the rest.
local limit = tonumber(ARGV[1])
local answer, found, after = {}, 0, '-inf'
while found < limit do
  local rows = call('ZRANGEBYSCORE', NOTICES, after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
  if #rows == 0 then break end
  for i = 1, #rows, 2 do
    local number = unpack_bytes('>I4', rows[i], 8)
    local tenant = call('ZRANGEBYSCORE', K .. ':tenants', number, number)[1]
    if not tenant then
      call('ZREM', NOTICES, rows[i])
    elseif found < limit then
      found = found + 1
      for _, part in ipairs({ rows[i + 1], tenant, string.sub(rows[i], 7) }) do answer[#answer + 1] = part end
    end
    after = '(' .. rows[i + 1]
  end
end
return answer
