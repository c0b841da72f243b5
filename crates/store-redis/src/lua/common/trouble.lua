-- The index of trouble: the events of which a delivery is troubled, or was, for the whole partition, for each tenant and for
-- each endpoint. It is written when a delivery first becomes so, and by nothing that arrives at once.
--
-- An index is a list of pieces, as a tenant's events are: a sorted set of pieces by the numbers at which they begin, and for
-- each piece a set of the numbers in it, counted from there, which Redis packs at 2 or 4 bytes each. Deliveries do not become
-- troubled in the order of their events: a piece that is full is divided.
local PIECE = 512 -- numbers in a piece: as many as Redis packs tightly
local REACH = 32768 -- how far from its beginning the numbers of a piece take 2 bytes
local EVERYBODY = '*'

-- Whose index it is: EVERYBODY's, that of a tenant's number, or an endpoint's.
local function trouble_of(whose)
  return K .. ':z:' .. whose
end

local function name_of_endpoint(endpoint)
  return 'p' .. endpoint
end

-- The piece that a number belongs to; nil if it is before all of them.
local function piece_with(list, number)
  return call('ZREVRANGEBYSCORE', list, whole(number), '-inf', 'LIMIT', 0, 1)[1]
end

local function begin_piece(list, number)
  local piece = string.format('%010x', number)
  call('ZADD', list, whole(number), piece)
  return piece
end

-- Makes room in a piece that is full, for a number that belongs to it. Gives the piece to which it belongs then.
local function divide(list, piece, number)
  local start, numbers = tonumber(piece, 16), {}
  for i, offset in ipairs(call('SMEMBERS', list .. ':' .. piece)) do numbers[i] = start + tonumber(offset) end
  table.sort(numbers)
  -- Behind all others, which is how it mostly comes: then the piece stays full.
  if number > numbers[#numbers] then return begin_piece(list, number) end
  local half = math.floor(#numbers / 2) + 1
  local second = begin_piece(list, numbers[half])
  local leaving, coming = {}, {}
  for i = half, #numbers do
    leaving[#leaving + 1] = whole(numbers[i] - start)
    coming[#coming + 1] = whole(numbers[i] - numbers[half])
  end
  call('SREM', list .. ':' .. piece, unpack(leaving))
  call('SADD', list .. ':' .. second, unpack(coming))
  return number < numbers[half] and piece or second
end

local function put_in(list, number)
  -- Before all others it begins with room for what is older: numbers may come downwards.
  local piece = piece_with(list, number) or begin_piece(list, number - number % REACH)
  local key = list .. ':' .. piece
  local offset = whole(number - tonumber(piece, 16))
  if call('SCARD', key) >= PIECE then
    if call('SISMEMBER', key, offset) == 1 then return end
    piece = divide(list, piece, number)
    key, offset = list .. ':' .. piece, whole(number - tonumber(piece, 16))
  end
  call('SADD', key, offset)
end

local function take_out(list, number)
  local piece = piece_with(list, number)
  if not piece then return end
  local key = list .. ':' .. piece
  call('SREM', key, whole(number - tonumber(piece, 16)))
  if call('EXISTS', key) == 0 then call('ZREM', list, piece) end
end

-- Whether a delivery is one that operators look for (`is_troubled` of the contract).
local function is_troubled(slot)
  return slot.failures > 0
    or slot.error > 0
    or slot.state > DELIVERED
    or (slot.status > 0 and (slot.status < 200 or slot.status > 299))
end

-- A delivery has become troubled; `known` says that its event is in the indexes of its tenant and of everybody.
local function note_trouble(event, n, known)
  local key, number = K .. ':e:' .. event, tonumber(event, 16)
  local tenant, length = unpack_bytes('>I4B', call('GETRANGE', key, 14, 18))
  if not known then
    put_in(trouble_of(EVERYBODY), number)
    put_in(trouble_of(whole(tenant)), number)
  end
  local from = 19 + length + 16 * n
  put_in(trouble_of(name_of_endpoint(call('GETRANGE', key, from, from + 15))), number)
end
