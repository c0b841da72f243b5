-- Creates a topic or changes it, in the partition that keeps them all. ARGV: name, topic, created.
-- Gives {1 if it is new, when it was created, version of the topics}.
-- A topic begins with the time of its making, which stays: `created|rest`.
local before = call('HGET', K .. ':topics', ARGV[1])
local created = before and string.match(before, '^(%d+)|') or ARGV[3]
call('HSET', K .. ':topics', ARGV[1], created .. '|' .. ARGV[2])
return { before and 0 or 1, created, clocked(K .. ':topics:s', 'version') }
