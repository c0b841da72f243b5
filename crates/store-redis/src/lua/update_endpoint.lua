-- Changes an endpoint.
--
-- ARGV  channel, tenant's id, endpoint, version that it was read with, state, reason, updated, URL, the rest,
--       nonce of the call, burst or '', 1 if it is ordered
-- Gives nil where there is none, 0 when the version is not the current one, or {parked until or '', health or ''}.
local number = call('ZSCORE', K .. ':tenants', ARGV[2])
local endpoint, version, state = ARGV[3], ARGV[4], ARGV[5]
local key = endpoint_of(endpoint)
local shown = call('HMGET', key, 't', 'v', 's', 'x')
if not number or not shown[1] or tonumber(shown[1]) ~= tonumber(number) then return false end

local function stands()
  local kept = call('HMGET', key, 'k', 'h')
  return { kept[1] or '', kept[2] or '' }
end

if shown[2] ~= version then
  -- It may be this very change, whose answer was lost.
  return call('HGET', key, 'n') == ARGV[10] and stands() or 0
end
if shown[3] ~= state or shown[4] ~= ARGV[8] then call('HDEL', key, 'k', 'h') end
-- What its owner said was said of the endpoint as it was.
call('HDEL', key, 'a', 'b')
call('ZREM', THROTTLED, endpoint)
-- stylua: ignore
call('HSET', key, 'v', whole(tonumber(version) + 1), 'r', ordinal(), 'n', ARGV[10], 's', state, 'w', ARGV[6],
  'u', ARGV[7], 'x', ARGV[8], 'd', ARGV[9])
if ARGV[11] == '' then
  call('HDEL', key, 'm')
else
  call('HSET', key, 'm', ARGV[11])
end

arrange(endpoint, ARGV[12] == '1', tonumber(ARGV[7]))
if state == DISABLED then
  close_queue(endpoint, SKIPPED, tonumber(ARGV[7]))
else
  reposition(endpoint, tonumber(ARGV[7]))
end
touch(shown[1])
wake(ARGV[1])
return stands()
