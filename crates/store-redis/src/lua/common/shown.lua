-- Where a delivery waits that is not final by its slot, as whoever reads is told:
--   f in flight, q<due> in its endpoint's queue, h<due> in that of a paused one, c<state><time> in a closed one; '' nowhere.
local known_endpoints, known_closings = {}, nil

-- What is looked at for many deliveries of an endpoint: its state, whether it is ordered, whether that changes.
local function waits_at(endpoint)
  local shown = known_endpoints[endpoint]
  if not shown then
    shown = call('HMGET', endpoint_of(endpoint), 's', 'z', 'i')
    known_endpoints[endpoint] = shown
  end
  return unpack(shown)
end

local function where(event, n, endpoint)
  local name = member(event, n)
  if call('HEXISTS', LEASES, name) == 1 then return 'f' end
  local state, ordered, changing = waits_at(endpoint)
  local due
  if ordered or changing then
    due = due_in_queue(endpoint, name)
  else
    local queued = call('ZSCORE', queue_of(endpoint), name)
    due = queued and due_of(tonumber(queued))
  end
  if not due then
    known_closings = known_closings or closings_by_endpoint()
    local _, closed, now = closing_of(name, endpoint, known_closings)
    return closed and 'c' .. closed .. whole(now) or ''
  end
  return (state == PAUSED and 'h' or 'q') .. whole(due)
end
