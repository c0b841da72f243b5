-- Gives the topics a new version, because a partition knows a later one: a crash took changes back. Gives the version.
return clocked(K .. ':topics:s', 'version')
