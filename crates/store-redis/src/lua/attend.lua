-- Says that an owner is there. ARGV: owner, now, until. Gives the names of all who are.
local key = K .. ':attending'
call('ZADD', key, ARGV[3], ARGV[1])
call('ZREMRANGEBYSCORE', key, '-inf', ARGV[2])
return call('ZRANGE', key, 0, -1)
