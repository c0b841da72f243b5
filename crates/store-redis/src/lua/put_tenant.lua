-- Creates a tenant or changes it. ARGV: id, number if it is new, name, now (updated),
-- created, default signature or ''.
-- Gives {1 if it is new, when it was created}, or nil if the number is another tenant's, or was: the server that counts
-- them may have been cut back. Keys that hold a tenant's number are its alone.
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
local created = not number
if created then
  number = ARGV[2]
  -- stylua: ignore
  local others = call('EXISTS', K .. ':t:' .. number, K .. ':n:' .. number, K .. ':i:' .. number, K .. ':v:' .. number,
    K .. ':h:m:' .. number .. 't', K .. ':h:h:' .. number .. 't')
  if others > 0 or call('ZCOUNT', K .. ':tenants', number, number) > 0 then return false end
  call('ZADD', K .. ':tenants', number, ARGV[1])
  call('HSET', K .. ':t:' .. number, 'created', ARGV[5], 'version', ordinal())
end
local key = K .. ':t:' .. whole(tonumber(number))
call('HSET', key, 'name', ARGV[3], 'updated', ARGV[4], 'signature', ARGV[6])
return { created and 1 or 0, call('HGET', key, 'created') }
