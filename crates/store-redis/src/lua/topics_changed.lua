-- Tells a partition which version the topics have: views of an older one are stale. ARGV: version.
local known = call('HGET', STATE, 'topics')
if not known or tonumber(known) < tonumber(ARGV[1]) then call('HSET', STATE, 'topics', ARGV[1]) end
return 1
