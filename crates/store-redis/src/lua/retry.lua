-- Asks for a manual attempt of a delivery.
--
-- ARGV  channel, tenant's id, event, place in its fan-out, time of acceptance, 1 if it is forced, now, nonce of the call
-- Gives 't', 'd', 'e' where there is no such tenant, delivery, endpoint; the endpoint's state where it takes nothing; 'a'
-- when it is asked for.
--
-- Calls are known by their nonces for a while: one that is repeated, because its answer was lost, asks once.
local REMEMBERED = 32
local event, n, accepted, nonce = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[8]
local nonces = call('HGET', STATE, 'asked') or ''
for at = 1, #nonces, #nonce do
  if string.sub(nonces, at, at + #nonce - 1) == nonce then return 'a' end
end
if not call('ZSCORE', K .. ':tenants', ARGV[2]) then return 't' end
if not fan_out_of(ARGV[2], event, n, accepted) then return 'd' end
local state = call('HGET', endpoint_of(target_of(event, n)), 's')
if not state then return 'e' end
if state ~= ENABLED and ARGV[6] == '0' then return state end
call('RPUSH', ASKED, member(event, n) .. ARGV[6] .. ARGV[5] .. ',' .. ARGV[7])
call('HSET', STATE, 'asked', nonce .. string.sub(nonces, 1, (REMEMBERED - 1) * #nonce))
wake(ARGV[1])
return 'a'
