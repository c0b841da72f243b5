-- Moves a letter from the inbox to the dead ones.
--
-- ARGV  group, letter, how many dead ones are kept, fields and values in turn
-- Gives 1 if it was there to be moved.
local pending = redis.pcall('XPENDING', K, ARGV[1], ARGV[2], ARGV[2], 1)
-- An error: the stream or the group is gone, and the letter with it.
if pending.err or #pending == 0 then return 0 end
call('XADD', K .. ':dead', 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
call('XACK', K, ARGV[1], ARGV[2])
call('XDEL', K, ARGV[2])
return 1
