-- Changes a replay. ARGV: tenant's id, replay, version that it was read with, what it is, 1 if it is running.
-- Gives 't' or 'r' where there is no such tenant or replay, 's' when it was changed since it was read, or its new version.
--
-- With one that ends, the oldest of the tenant that are over go, but for so many.
--
-- Repeated, because its answer was lost, it finds another version: whoever asked reads what stands there.
local REMEMBERED = 1000 -- replays of a tenant that are over
local DROPPED = 100 -- how many of them go at once
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
if not number then return 't' end
number = whole(tonumber(number))
local known = call('GET', replay_of(ARGV[2]))
local whose, version = string.match(known or '', '^(%d+) (%d+) ')
if whose ~= number then return 'r' end
if version ~= ARGV[3] then return 's' end
local following = whole(tonumber(version) + 1)
call('SET', replay_of(ARGV[2]), number .. ' ' .. following .. ' ' .. ARGV[4])
if ARGV[5] == '1' then
  call('ZADD', RUNNING, call('ZSCORE', REPLAYS, ARGV[2]), ARGV[2])
else
  call('ZREM', RUNNING, ARGV[2])
  local own = REPLAYS .. ':' .. number
  local running = call('ZINTERCARD', 2, RUNNING, own)
  local beyond = math.min(call('ZCARD', own) - running - REMEMBERED, DROPPED)
  local oldest = beyond > 0 and call('ZRANGE', own, 0, beyond + running) or {}
  for _, replay in ipairs(oldest) do
    if beyond == 0 then break end
    -- Whoever ended this one wants to see it.
    if replay ~= ARGV[2] and not call('ZSCORE', RUNNING, replay) then
      call('DEL', replay_of(replay))
      call('ZREM', own, replay)
      call('ZREM', REPLAYS, replay)
      beyond = beyond - 1
    end
  end
end
return tonumber(following)
