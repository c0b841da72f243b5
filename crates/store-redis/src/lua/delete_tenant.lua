-- Deletes a tenant with its endpoints and replays. ARGV: id, now. Gives 1, or nil where there is none.
-- Its events stay until retention takes them.
local number = call('ZSCORE', K .. ':tenants', ARGV[1])
if not number then return false end
number = whole(tonumber(number))
for _, endpoint in ipairs(call('ZRANGE', K .. ':n:' .. number, 0, -1)) do
  delete_endpoint(endpoint, tonumber(ARGV[2]))
end
for _, replay in ipairs(call('ZRANGE', REPLAYS .. ':' .. number, 0, -1)) do
  call('DEL', replay_of(replay))
  call('ZREM', REPLAYS, replay)
  call('ZREM', RUNNING, replay)
end
call('DEL', REPLAYS .. ':' .. number)
call('DEL', K .. ':n:' .. number, K .. ':t:' .. number)
call('ZREM', K .. ':tenants', ARGV[1])
return 1
