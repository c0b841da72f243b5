-- All topics. Gives {their version, names and topics in turn}.
return { call('HGET', K .. ':topics:s', 'version') or '0', call('HGETALL', K .. ':topics') }
