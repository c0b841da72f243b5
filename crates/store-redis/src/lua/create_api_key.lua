-- Keeps a key of the API, in the partition that keeps them all. ARGV: id, digest of its secret, what it is. Gives 1. One
-- that is there already was kept by the same call.
if call('HSETNX', API_KEYS .. ':i', ARGV[1], ARGV[2]) == 1 then
  call('HSET', API_KEYS .. ':d', ARGV[2], ARGV[3])
  call('ZADD', API_KEYS, ordinal(), ARGV[2])
end
return 1
