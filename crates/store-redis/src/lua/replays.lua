-- Lists replays.
--
-- ARGV  tenant's id, or '' for those of all; 'n' newest first, below a place; 'r' those that are running, oldest first; the
--       place; limit
-- Gives nil where there is no such tenant, or for each {place, version, what it is}.
local list = REPLAYS
if ARGV[1] ~= '' then
  local number = call('ZSCORE', K .. ':tenants', ARGV[1])
  if not number then return false end
  list = REPLAYS .. ':' .. whole(tonumber(number))
end
local rows
if ARGV[2] == 'r' then
  rows = call('ZRANGE', RUNNING, 0, tonumber(ARGV[4]) - 1, 'WITHSCORES')
else
  rows = call('ZREVRANGEBYSCORE', list, '(' .. ARGV[3], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[4])
end
local answer = {}
for i = 1, #rows, 2 do
  local _, version, said = string.match(call('GET', replay_of(rows[i])) or '', '^(%d+) (%d+) (.*)$')
  answer[#answer + 1] = { rows[i + 1], version or '', said or '' }
end
return answer
