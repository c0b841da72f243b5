-- Entries of the audit (`record_audit.lua`), newest first.
--
-- ARGV  tenant's id, or '' for all; id of the entry behind which to begin, or ''; how many are wanted; how many are looked at
-- Gives {id of the entry behind which to go on, or '' if there are no more, and the entries}
local ID = 16 -- bytes
local whose = ARGV[1] ~= '' and ARGV[1] .. ' '
local from = ARGV[2] == '' and '+' or '(' .. ARGV[2]
local wanted, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local rows = call('ZREVRANGEBYLEX', AUDIT, from, '-', 'LIMIT', 0, most)
local answer = { '' }
for _, row in ipairs(rows) do
  if not whose or string.sub(row, ID + 1, ID + #whose) == whose then
    if #answer > wanted then
      answer[1] = string.sub(answer[#answer], 1, ID)
      return answer
    end
    answer[#answer + 1] = row
  end
end
if #rows == most then answer[1] = string.sub(rows[most], 1, ID) end
return answer
