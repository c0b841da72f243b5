-- Leases what is due: first the manual attempts that were asked for, then endpoints take turns, the one first that has
-- waited longest.
--
-- ARGV  epoch, now, limit, how many of them may be manual, per endpoint, per tenant, expiry, nonce of the call,
--       how many rooms, for each: tenant's id, room,
--       then for each throttle: tenant's id, endpoint, until or '', at most or ''
-- Gives nil to whoever is not the owner, or
--       {next turn (ms) or '', 1 if it ended before it had looked at everybody, else 0, number of the first lease,
--        then for each turn: endpoint, its revision, its parked-until or '', its health or '', count,
--        then for each lease: its field, due, attempts, failures}
--       The leases are numbered on from the first, in their order.
--
-- A call that is repeated with its nonce, because its answer was lost, gets what it had got.
if not state[2] or tonumber(state[1]) ~= epoch then return false end
note_throttles()
if state[5] == nonce then return answer_again() end

lease_all_asked()
go_through()
if not unseen then give_the_rest() end
line_up()
-- Everybody came up. But who changes goes on with the next call, or can be given something there.
unseen = unseen or (rearranged ~= nil and limit > 0)

answer[1], answer[2] = next_turn(), unseen and 1 or 0
if number >= first then
  call('HSET', STATE, 'lease', whole(number), 'turn', whole(turn), 'nonce', nonce, 'nonce_from', whole(first))
elseif turn ~= last_turn then
  call('HSET', STATE, 'turn', whole(turn))
end
-- With all permits given the owner comes back by itself when one is free again.
if limit > 0 then call('HSET', STATE, 'asleep', 1) end
return answer
