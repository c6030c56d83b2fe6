-- What the scripts share. KEYS[1] is the beginning of all keys; COLUMNS (written before this) names those that a row fills.
local P = KEYS[1]
local PROOF = 3600 -- seconds after which an expired entry is deleted: it says why its call misses, and a user without TIME may have a wrong clock
local NEVER, UNKNOWN = struct.pack('<d', 1/0), struct.pack('<d', 0/0)

local BATCHES, WEEK = 500, 604800 -- batches that are remembered of each writer, and for how many seconds after the last one

-- Whether this batch of a writer was not applied before. A closed connection may still deliver one minutes after its retry.
local function is_new(writer, batch)
  local done = P..'done:'..writer
  if redis.call('LPOS', done, batch) then return false end
  redis.call('LPUSH', done, batch)
  redis.call('LTRIM', done, 0, BATCHES - 1)
  redis.call('EXPIRE', done, WEEK)
  return true
end

-- A server that may evict any key may have taken one of those by which entries are listed. What is written then would make the
-- others wrong, so they are all dropped; the entries stay, and `rebuilding.py` lists them anew. Scripts are not interrupted by evictions.
local LISTS = {'lru', 'due', 'free', 'gone', 'gone_order'}

-- The answer of a command about a key. None if it has another type: somebody else has written it.
local function asked(...)
  local found = redis.pcall(...)
  return not (type(found) == 'table' and found.err) and found or nil
end

-- A whole number that is written in a field, and at least 0; else 0.
local function whole(text)
  return text and #text < 16 and string.match(text, '^%d+$') and tonumber(text) or 0
end

-- Add to a count, whatever stood there.
local function add(name, by)
  local sum = asked('HINCRBY', P..'counts', name, by)
  if not sum then redis.call('HSET', P..'counts', name, by) end
  return sum or by
end

local function is_complete()
  local counts = asked('HMGET', P..'counts', 'next', 'entries', 'due', 'bytes')
  if not counts then return false end
  local slots = whole(counts[1])
  for _, names in ipairs({COLUMNS, OTHER_COLUMNS}) do
    for _, name in ipairs(names) do
      if asked('STRLEN', P..'c:'..name) ~= slots * (name == 'key' and 20 or 8) then return false end
    end
  end
  return asked('ZCARD', P..'lru') == whole(counts[2]) and asked('ZCARD', P..'due') == whole(counts[3])
    and (not counts[4] or string.match(counts[4], '^%d+$')) and asked('LLEN', P..'free')
    and asked('HLEN', P..'gone') and asked('ZCARD', P..'gone_order') and true or false
end

local function drop_lists()
  for _, names in ipairs({COLUMNS, OTHER_COLUMNS}) do
    for _, name in ipairs(names) do redis.call('UNLINK', P..'c:'..name) end
  end
  for _, name in ipairs(LISTS) do redis.call('UNLINK', P..name) end
  if not asked('HDEL', P..'counts', 'next', 'entries', 'due', 'bytes') then redis.call('UNLINK', P..'counts') end
  redis.call('HSET', P..'counts', 'incomplete', 1)
end

local function raw(name, slot, width)
  return redis.call('GETRANGE', P..'c:'..name, slot * width, (slot + 1) * width - 1)
end

-- What a column has at a slot, if the server has not evicted it.
local function eight(name, slot, otherwise)
  local bytes = raw(name, slot, 8)
  return #bytes == 8 and bytes or otherwise
end

local function number(name, slot)
  local bytes = raw(name, slot, 8)
  local value = #bytes == 8 and struct.unpack('<d', bytes) or 0/0
  return value > -2^53 and value < 2^53 and value or 0/0
end

-- The same, and 0 where there is none.
local function amount(name, slot)
  local value = number(name, slot)
  return value == value and value or 0
end

local function write(name, slot, bytes)
  redis.call('SETRANGE', P..'c:'..name, slot * #bytes, bytes)
end

local function write_number(name, slot, value)
  write(name, slot, struct.pack('<d', value))
end

local function key_at(slot)
  return (string.gsub(raw('key', slot, 20), '.', function(byte) return string.format('%02x', string.byte(byte)) end))
end

local function bytes_of(hexadecimal)
  return (string.gsub(hexadecimal, '..', function(two) return string.char(tonumber(two, 16)) end))
end

local function entry(key)
  return P..'e:'..key
end

local function lease(key)
  return P..'l:'..key
end

-- An entry is one string: a head of fixed length, the row, what it cost, its owners, and the payload.
local HEAD, HEAD_BYTES, SLOT_AT, EXPLAINED_AT = '<dI4I4I4BB', 22, 8, 20

local MOST_ABOUT = 2^20 -- bytes of row, cost and owners: what has more is no entry of ours

-- The head: when it expires, its slot, where the payload starts, the lengths of row and cost, and whether it has explained a miss.
local function head_of(key)
  local bytes = asked('GETRANGE', entry(key), 0, HEAD_BYTES - 1)
  if not bytes or #bytes < HEAD_BYTES then return nil end
  local head = {}
  head.expires, head.slot, head.start, head.row_bytes, head.explained, head.cost_bytes = struct.unpack(HEAD, bytes)
  local about = head.start - HEAD_BYTES
  local is_ours = head.expires == head.expires and about >= head.row_bytes + head.cost_bytes and about < MOST_ABOUT
  return is_ours and head.start <= redis.call('STRLEN', entry(key)) and head or nil
end

-- The head with the row, the cost and the owners.
local function read_entry(key)
  local head = head_of(key)
  if not head then return nil end
  local about = redis.call('GETRANGE', entry(key), HEAD_BYTES, head.start - 1)
  local at = head.row_bytes + head.cost_bytes + 1
  head.row, head.cost, head.owners = string.sub(about, 1, head.row_bytes), string.sub(about, head.row_bytes + 1, at - 1), {}
  while at + 3 <= #about do
    local length = struct.unpack('<I4', about, at)
    head.owners[#head.owners + 1] = string.sub(about, at + 4, at + 3 + length)
    at = at + 4 + length
  end
  return head
end

local function payload_of(key, head)
  return redis.call('GETRANGE', entry(key), head.start, -1)
end

local function write_entry(key, head, payload)
  table.sort(head.owners)
  local about = {head.row, head.cost}
  for _, owner in ipairs(head.owners) do about[#about + 1] = struct.pack('<I4', #owner)..owner end
  about = table.concat(about)
  local start = HEAD_BYTES + #about
  local bytes = struct.pack(HEAD, head.expires, head.slot, start, #head.row, head.explained, #head.cost)
  redis.call('SET', entry(key), bytes..about..payload, 'KEEPTTL')
end

-- Returns whether the owner is a new one.
local function add_owner(head, owner)
  for _, known in ipairs(head.owners) do
    if known == owner then return false end
  end
  head.owners[#head.owners + 1] = owner
  return true
end

-- The column has a digest of all owners together.
local function write_owners(slot, owners)
  local whole = {}
  table.sort(owners)
  for at, owner in ipairs(owners) do whole[at] = #owner..':'..owner end
  write('notebooks', slot, string.sub(bytes_of(redis.sha1hex(table.concat(whole))), 1, 8))
end

-- Note when an entry was used last. Other machines may have noted a later moment.
local function use(slot, moment)
  add('entries', redis.call('ZADD', P..'lru', 'GT', moment, slot))
end

local function set_due(slot, expires)
  add('due', redis.call('ZADD', P..'due', expires, slot))
end

local function unset_due(slot)
  add('due', 0 - redis.call('ZREM', P..'due', slot))
end

local function write_expiry(key, slot, expires, milliseconds)
  local bytes = expires == '' and NEVER or struct.pack('<d', tonumber(expires))
  redis.call('SETRANGE', entry(key), 0, bytes)
  write('expires', slot, bytes)
  if expires == '' then
    redis.call('PERSIST', entry(key))
    unset_due(slot)
  else
    redis.call('PEXPIRE', entry(key), milliseconds + PROOF * 1000)
    set_due(slot, expires)
  end
end

local function write_row(key, slot, columns)
  write('key', slot, bytes_of(key))
  for at, name in ipairs(COLUMNS) do write(name, slot, string.sub(columns, at * 8 - 7, at * 8)) end
end

-- A place in the columns that no entry has.
local function new_slot()
  local slot = redis.call('LPOP', P..'free')
  local last = whole(redis.call('HGET', P..'counts', 'next')) - 1
  if not slot or tostring(whole(slot)) ~= slot or whole(slot) > last or number('created', slot) == number('created', slot) then
    slot = add('next', 1) - 1
  end
  write_number('hits', slot, 0)
  write('last_hit', slot, UNKNOWN)
  write_number('size_bytes', slot, 0)
  return slot
end

local function free(slot)
  add('bytes', 0 - amount('size_bytes', slot))
  write('created', slot, UNKNOWN)
  add('entries', 0 - redis.call('ZREM', P..'lru', slot))
  unset_due(slot)
  redis.call('RPUSH', P..'free', slot)
end

local function write_size(slot, size)
  add('bytes', size - amount('size_bytes', slot))
  write_number('size_bytes', slot, size)
end

local function take_tombstone(key)
  redis.call('HDEL', P..'gone', key)
  redis.call('ZREM', P..'gone_order', key)
end

-- A tombstone says when and why; the latest are kept.
local function bury(key, why, when)
  redis.call('HSET', P..'gone', key, when..' '..why)
  redis.call('ZADD', P..'gone_order', add('tombstones', 1), key)
  while redis.call('ZCARD', P..'gone_order') > TOMBSTONES do
    redis.call('HDEL', P..'gone', redis.call('ZPOPMIN', P..'gone_order')[1])
  end
end

-- Delete an entry. Without a reason, or if it has explained a miss already, it leaves no tombstone.
local function drop(key, slot, why, when)
  local head = head_of(key)
  redis.call('UNLINK', entry(key))
  free(slot)
  if why ~= '' and not (head and head.explained == 1) then bury(key, why, when) end
end

local function drop_expired(until_when, most, but)
  for _, slot in ipairs(redis.call('ZRANGEBYSCORE', P..'due', '-inf', until_when, 'LIMIT', 0, most)) do
    if slot ~= but then drop(key_at(slot), slot, 'expired', redis.call('ZSCORE', P..'due', slot)) end
  end
end

-- The slot that an entry says it has. It may be of lists that were dropped.
local function slot_of(key)
  local head = head_of(key)
  return head and head.slot
end

-- An entry whose key the server has evicted is in the columns still.
local function forget_if_gone(slot)
  local alive = number('created', slot)
  if alive == alive and slot_of(key_at(slot)) ~= tonumber(slot) then
    free(slot)
    return 1
  end
  return 0
end

-- The slot at which an entry is listed, if it is.
local function listed_at(key, slot)
  return slot and number('created', slot) == number('created', slot) and key_at(slot) == key and slot or nil
end

-- The slot of an entry. One that has expired is none: its slot is second then, with the time.
local function live(key, now)
  local head = head_of(key)
  local slot = head and listed_at(key, head.slot)
  if slot and head.expires <= now then return nil, slot, string.format('%.17g', head.expires) end
  return slot or nil
end

-- What a row is read from: see `rows.py`. An entry that is gone is false.
local function row_at(slot, with_payload)
  local created = number('created', slot)
  if created ~= created then return false end
  local key = key_at(slot)
  local head = read_entry(key)
  if not head or head.slot ~= tonumber(slot) then return false end
  return {
    key, head.row, struct.pack('<d', head.expires), head.cost,
    eight('hits', slot, struct.pack('<d', 0)), eight('last_hit', slot, UNKNOWN),
    redis.call('STRLEN', entry(key)) - head.start, head.owners, with_payload and payload_of(key, head) or '',
  }
end
