-- Manual attempts that were asked for. A request is the delivery's name, 1 if it is forced, when its event was accepted,
-- when it was asked for.

-- Leases what a request asks for. Gives whether that may be made still.
local function lease_asked(request)
  local name, force = string.sub(request, 1, 14), string.sub(request, 15, 15)
  local accepted, asked = string.match(request, '^(%d+),(%d+)$', 16)
  local event, n = split(name)
  local count, when = fan_out(event)
  if not count or n >= count or when ~= tonumber(accepted) then return false end
  local endpoint = target_of(event, n)
  local shown = call('HMGET', endpoint_of(endpoint), 'r', 'k', 'h', 's')
  if not shown[4] or (shown[4] ~= ENABLED and force == '0') then return false end
  local slot = read_slot(event, n)
  number = number + 1
  local field = field_of(MANUAL, name, number)
  call('HSET', LEASES, field, pack('>I6I6I6I6B', epoch, number, expiry, tonumber(asked), TRIED) .. endpoint)
  answer[turn_head(answer, endpoint, shown)] = 1
  add_lease(answer, field, tonumber(asked), slot)
  return true
end

local function lease_all_asked()
  while limit > 0 and manual > 0 and not unseen do
    local request = call('LPOP', ASKED)
    if not request then return end
    if lease_asked(request) then
      limit, manual = limit - 1, manual - 1
    else
      in_vain = in_vain + 1
      unseen = in_vain == IN_VAIN
    end
  end
end
