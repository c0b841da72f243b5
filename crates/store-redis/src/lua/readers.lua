-- Forgets the readers of the inbox that are gone and left nothing behind. KEYS[1]: the stream. ARGV: group, idle time.
local readers = redis.pcall('XINFO', 'CONSUMERS', K, ARGV[1])
if readers.err then return 0 end
for _, reader in ipairs(readers) do
  local facts = {}
  for i = 1, #reader, 2 do facts[reader[i]] = reader[i + 1] end
  if facts.pending == 0 and facts.idle > tonumber(ARGV[2]) then
    call('XGROUP', 'DELCONSUMER', K, ARGV[1], facts.name)
  end
end
return 1
