-- Deletes a topic. ARGV: name. Gives nil where there is none, or the version of the topics.
if call('HDEL', K .. ':topics', ARGV[1]) == 0 then return false end
return clocked(K .. ':topics:s', 'version')
