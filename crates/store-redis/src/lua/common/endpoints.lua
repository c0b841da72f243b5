-- An endpoint's hash: t the tenant's number, o its place among the endpoints, s state, w why it is disabled, k parked
-- until, v version, r revision, n the nonce of its last change, u updated at, x URL, d everything else. The revision changes with the version, and is
-- never given again: by it a process knows whether what it has at hand is still so.
local function endpoint_of(endpoint)
  return K .. ':p:' .. endpoint
end

-- A number that nothing else of the partition has, growing.
local function ordinal()
  return clocked(STATE, 'ordinal')
end

-- Makes the views of a tenant stale, if the tenant still exists.
local function touch(tenant)
  local key = K .. ':t:' .. tenant
  if call('EXISTS', key) == 1 then call('HSET', key, 'version', ordinal()) end
end

-- Ends whatever waits in an endpoint's queue, but for what is in flight. However long the queue is, it is only put
-- aside here, with what became of it: `sweep` writes that to the records, some at a time, before anything is
-- pruned, and whoever reads meanwhile finds it here.
local function close_queue(endpoint, state, now)
  call('ZREM', READY, endpoint)
  if call('EXISTS', queue_of(endpoint)) == 0 then return end
  local number = ordinal()
  call('RENAME', queue_of(endpoint), K .. ':c:' .. number)
  call('HSET', CLOSINGS, number, pack('>BI6', state, now) .. endpoint)
end
