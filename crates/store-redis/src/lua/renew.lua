-- Keeps the partition. ARGV: epoch, until. Gives 1 to the owner, nil to anyone else.
if owner_epoch() ~= tonumber(ARGV[1]) then return false end
call('HSET', STATE, 'until', ARGV[2])
return 1
