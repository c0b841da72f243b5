-- Changes an endpoint.
--
-- ARGV  channel, tenant's id, endpoint, version that it was read with, state, reason, updated, URL, the rest,
--       nonce of the call
-- Gives nil where there is none, 0 when the version is not the current one, or {parked until or ''}.
local number = call('ZSCORE', K .. ':tenants', ARGV[2])
local endpoint, version, state = ARGV[3], ARGV[4], ARGV[5]
local key = endpoint_of(endpoint)
local shown = call('HMGET', key, 't', 'v', 's', 'x', 'k')
if not number or not shown[1] or tonumber(shown[1]) ~= tonumber(number) then return false end
if shown[2] ~= version then
  -- It may be this very change, whose answer was lost.
  return call('HGET', key, 'n') == ARGV[10] and { shown[5] or '' } or 0
end
local parked = tonumber(shown[5])
if shown[3] ~= state or shown[4] ~= ARGV[8] then
  parked = nil
  call('HDEL', key, 'k')
end
-- stylua: ignore
call('HSET', key, 'v', whole(tonumber(version) + 1), 'r', ordinal(), 'n', ARGV[10], 's', state, 'w', ARGV[6],
  'u', ARGV[7], 'x', ARGV[8], 'd', ARGV[9])
if state == DISABLED then
  close_queue(endpoint, SKIPPED, tonumber(ARGV[7]))
else
  reposition(endpoint, state, parked)
end
touch(shown[1])
wake(ARGV[1])
return { parked and whole(parked) or '' }
