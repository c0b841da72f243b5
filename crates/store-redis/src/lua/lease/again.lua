-- The answer of the call before, put together from the leases that it gave and that are live still. Whether it had looked
-- at everybody is not known any more: whoever comes once more for that does no harm.
local function answer_again()
  local from, given = tonumber(state[6]), {}
  local all = call('HGETALL', LEASES)
  for i = 1, #all, 2 do
    local of, own, _, due = unpack_bytes('>I6I6I6I6', all[i + 1])
    local is_lost = of == epoch and own >= from
    if is_lost and kind_of(all[i]) == ENDED then
      -- It ended before anybody had begun with it: there was no request.
      call('HDEL', LEASES, all[i])
    elseif is_lost then
      given[own - from + 1] = { all[i], due, string.sub(all[i + 1], 26, 41) }
      -- They live from now on: nobody has begun with them.
      local rest = string.sub(all[i + 1], 19)
      call('HSET', LEASES, all[i], pack('>I6I6I6', of, own, expiry) .. rest)
    end
  end
  local again = { next_turn(), 1, whole(from) }
  for i = 1, tonumber(state[3]) - from + 1 do
    -- One that is gone leaves its number to nobody: it is answered with an empty name.
    local lease = given[i] or { '', 0, '' }
    local head = turn_head(again, lease[3])
    again[head] = 1
    local event, n = split(lease[1] == '' and '00000000000000' or lease[1])
    add_lease(again, lease[1], lease[2], lease[1] ~= '' and read_slot(event, n))
  end
  return again
end
