-- Gives the partition up, and says until when what was leased under the epoch is spared.
--
-- ARGV  channel, epoch, until
if owner_epoch() == tonumber(ARGV[2]) then
  call('HDEL', STATE, 'owner', 'until')
  -- Whoever takes it looks by itself; whoever waits for it may look now.
  call('HSET', STATE, 'asleep', 1)
  wake(ARGV[1])
end
call('HSET', STATE, 'released:' .. ARGV[2], ARGV[3])
return 1
