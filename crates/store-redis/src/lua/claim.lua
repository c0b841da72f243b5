-- Takes the partition.
--
-- ARGV  owner, now, until
-- Gives the new epoch, or nil while another owner has it. Epochs follow the clock, so that one that a crash of Redis
-- made it forget is not given again.
local state = call('HMGET', STATE, 'owner', 'until', 'epoch', 'unindexed', 'seq')
local now = tonumber(ARGV[2])
if state[1] and state[1] ~= ARGV[1] and now < tonumber(state[2]) then return false end
local epoch = math.max(tonumber(state[3] or '0') + 1, now)
-- Events of before there was an index of trouble.
if not state[4] then call('HSET', STATE, 'unindexed', state[5] or '0') end
call('HSET', STATE, 'owner', ARGV[1], 'until', ARGV[3], 'epoch', whole(epoch))
return epoch
