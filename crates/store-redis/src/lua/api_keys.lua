-- Keys of the API whose places are below a bound, newest first. ARGV: bound, limit. Gives for each: its place, what it is.
local rows = call('ZREVRANGEBYSCORE', API_KEYS, '(' .. ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local answer = {}
for i = 1, #rows, 2 do
  answer[#answer + 1] = rows[i + 1]
  answer[#answer + 1] = call('HGET', API_KEYS .. ':d', rows[i]) or ''
end
return answer
