-- Reads what was counted (`count.lua`). ARGV: tenant's id or '', subject, stretch.
-- Gives for each stretch in which something was: its page, its place in it, how many counters there are, the counters, how
-- many of the rest are of the queue, the rest.
local number = ARGV[1] == '' and '' or call('ZSCORE', K .. ':tenants', ARGV[1])
if not number then return {} end
local answer = {}
local pages = call('HGETALL', K .. ':h:' .. ARGV[3] .. ':' .. number .. ARGV[2])
for i = 1, #pages, 2 do
  local bytes, at = pages[i + 1], 1
  while at <= #bytes do
    local place, length = unpack_bytes('>BI2', bytes, at)
    local counted = cmsgpack.unpack(string.sub(bytes, at + 3, at + 2 + length))
    local row = { pages[i], place, #counted[1] }
    for _, count in ipairs(counted[1]) do row[#row + 1] = count end
    row[#row + 1] = #counted[2]
    for n = 2, 3 do
      for _, number in ipairs(counted[n]) do row[#row + 1] = number end
    end
    answer[#answer + 1] = row
    at = at + 3 + length
  end
end
return answer
