-- Keeps an entry of the audit, in the partition that keeps them all, and forgets those that came first of its kind. ARGV: id,
-- the rest of the entry, its kind (what tenants' own people did is `t`, the rest `o`), how many of a kind are kept. Gives 1.
-- One that is there already was kept by the same call.
--
-- An entry is `id:16 tenant's id, a space, JSON`. All have the score 0, so that they are in the order of their ids; a list
-- for each kind has the ids in the order in which they came.
local DROPPED = 1000 -- how many go at once
local function bounds(id)
  return '[' .. id, '(' .. id .. '\255'
end

if call('ZLEXCOUNT', AUDIT, bounds(ARGV[1])) > 0 then return 1 end
call('ZADD', AUDIT, 0, ARGV[1] .. ARGV[2])
local order = AUDIT_ORDER .. ARGV[3]
local beyond = math.min(call('RPUSH', order, ARGV[1]) - tonumber(ARGV[4]), DROPPED)
if beyond > 0 then
  for _, id in ipairs(call('LPOP', order, beyond)) do
    call('ZREMRANGEBYLEX', AUDIT, bounds(id))
  end
end
return 1
