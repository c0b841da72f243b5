-- An endpoint's hash: t the tenant's number, o its place among the endpoints, s state, w why it is disabled, k parked
-- until, v version, r revision, n the nonce of its last change, u updated at, x URL, m burst, h health (below), d
-- everything else. The revision changes with the version, and is never given again: by it a process knows whether what it
-- has at hand is still so. What the owner says of it: b throttled until, a how many at the most. While it is ordered, z is
-- the last place in the order that was given, and f how many of it are in flight. i says that it becomes ordered or ceases
-- to be (`common/order.lua`), y that it is set aside. What is missing was never said.
--
-- Health is `since:6 failures:4 exhausted:4 warned:1`, and missing while the endpoint is well; a time of 0 is none.

-- Makes the views of a tenant stale, if the tenant still exists.
local function touch(tenant)
  local key = K .. ':t:' .. tenant
  if call('EXISTS', key) == 1 then call('HSET', key, 'version', ordinal()) end
end

-- Ends whatever waits for an endpoint, but for what is in flight. However long a queue is, it is only put aside here,
-- with what became of it: `sweep` writes that to the records, some at a time, before anything is pruned, and whoever
-- reads meanwhile finds it here.
local function close_queue(endpoint, state, now)
  local shown = call('HMGET', endpoint_of(endpoint), 'y', 't')
  if shown[1] then leave_aside(endpoint, shown[2]) end
  call('ZREM', READY, endpoint)
  -- It stays ordered, or not, as the last step left it (z), whatever was asked for since. Nothing waits for it any more,
  -- and whoever enables it again says whether it is ordered: then `arrange` puts that right at once.
  call('HDEL', endpoint_of(endpoint), 'i')
  call('UNLINK', due_times_of(endpoint))
  for _, queue in ipairs({ queue_of(endpoint), old_queue_of(endpoint) }) do
    if call('EXISTS', queue) == 1 then
      local number = ordinal()
      call('RENAME', queue, K .. ':c:' .. number)
      call('HSET', CLOSINGS, number, pack('>BI6', state, now) .. endpoint)
    end
  end
end

local function delete_endpoint(endpoint, now)
  close_queue(endpoint, CANCELLED, now)
  call('ZREM', THROTTLED, endpoint)
  call('DEL', endpoint_of(endpoint))
end

-- Leaves word of something for operators: `number:6 kind:1 tenant:4 at:6 endpoint:16`, then what is told.
local function leave_notice(kind, tenant, endpoint, at, told)
  local number = ordinal()
  call('ZADD', NOTICES, whole(number), pack('>I6c1I4I6', number, kind, tonumber(tenant), at) .. endpoint .. told)
end
