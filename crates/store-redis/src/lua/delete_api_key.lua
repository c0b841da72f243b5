-- Deletes a key of the API. ARGV: id. Gives what it was, or nil where there is none.
local digest = call('HGET', API_KEYS .. ':i', ARGV[1])
if not digest then return false end
local deleted = call('HGET', API_KEYS .. ':d', digest)
call('HDEL', API_KEYS .. ':d', digest)
call('HDEL', API_KEYS .. ':i', ARGV[1])
call('ZREM', API_KEYS, digest)
return deleted
