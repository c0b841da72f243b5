-- Who waits for its tenant: an endpoint that came up in READY while its tenant might have no more of the call, because it
-- had its share or has no room, is set aside. It stands in a set of its tenant's own, at the place that it had, and the
-- tenant stands in READY for all of them. So a call looks at one member where a tenant has no room, however many
-- endpoints of it are due.
--
-- An endpoint that is set aside says so in its hash, is not in READY, and has something due. What changes that brings it
-- back by `leave_aside`; what does not leaves it where it is.
local function aside_of(tenant)
  return K .. ':a:' .. tenant
end

-- How a tenant is called in READY, where endpoints have names of 16 bytes.
local function in_line(tenant)
  return 't' .. tenant
end

-- Which tenant somebody in READY is; nil if it is an endpoint.
local function tenant_in_line(name)
  return #name ~= 16 and string.sub(name, 2) or nil
end

-- Sets endpoints of a tenant aside that stand in READY, up to as many as `unpack` is sure to take twice.
local function set_aside(tenant, endpoints)
  local standing = {}
  for i, place in ipairs(call('ZMSCORE', READY, unpack(endpoints))) do
    standing[2 * i - 1], standing[2 * i] = place, endpoints[i]
    call('HSET', endpoint_of(endpoints[i]), 'y', 1)
  end
  call('ZREM', READY, unpack(endpoints))
  call('ZADD', aside_of(tenant), unpack(standing))
end

-- An endpoint is not set aside any more. With the last one its tenant leaves the line.
local function leave_aside(endpoint, tenant)
  call('HDEL', endpoint_of(endpoint), 'y')
  call('ZREM', aside_of(tenant), endpoint)
  if call('EXISTS', aside_of(tenant)) == 0 then call('ZREM', READY, in_line(tenant)) end
end
