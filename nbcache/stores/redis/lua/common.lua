-- What the scripts share. KEYS[1] is the beginning of all keys; COLUMNS (written before this) names those that a row fills.
local P = KEYS[1]
local PROOF = 3600 -- seconds after which an expired entry is deleted: a clock that is ahead for less deletes nothing
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

local function is_complete()
  local columns = {}
  for at, name in ipairs(COLUMNS) do columns[at] = P..'c:'..name end
  for _, name in ipairs(OTHER_COLUMNS) do columns[#columns + 1] = P..'c:'..name end
  local there = redis.call('EXISTS', unpack(columns))
  local slots, entries, due = unpack(redis.call('HMGET', P..'counts', 'next', 'entries', 'due'))
  if not slots then return there == 0 end
  return there == #columns
    and redis.call('ZCARD', P..'lru') == tonumber(entries) and redis.call('ZCARD', P..'due') == tonumber(due or 0)
end

local function drop_lists()
  for _, names in ipairs({COLUMNS, OTHER_COLUMNS}) do
    for _, name in ipairs(names) do redis.call('UNLINK', P..'c:'..name) end
  end
  for _, name in ipairs(LISTS) do redis.call('UNLINK', P..name) end
  redis.call('HDEL', P..'counts', 'next', 'entries', 'due', 'bytes')
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
  return #bytes == 8 and struct.unpack('<d', bytes) or 0/0
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

local function owners_of(key)
  local owners = {}
  for _, field in ipairs(redis.call('HKEYS', entry(key))) do
    if string.sub(field, 1, 2) == 'o:' then owners[#owners + 1] = string.sub(field, 3) end
  end
  table.sort(owners)
  return owners
end

-- The column has a digest of all owners together.
local function write_owners(key, slot)
  local owners = owners_of(key)
  for at, owner in ipairs(owners) do owners[at] = #owner..':'..owner end
  write('notebooks', slot, string.sub(bytes_of(redis.sha1hex(table.concat(owners))), 1, 8))
  return #owners
end

-- Note when an entry was used last. Other machines may have noted a later moment.
local function use(slot, moment)
  redis.call('HINCRBY', P..'counts', 'entries', redis.call('ZADD', P..'lru', 'GT', moment, slot))
end

local function set_due(slot, expires)
  redis.call('HINCRBY', P..'counts', 'due', redis.call('ZADD', P..'due', expires, slot))
end

local function unset_due(slot)
  redis.call('HINCRBY', P..'counts', 'due', 0 - redis.call('ZREM', P..'due', slot))
end

local function write_expiry(key, slot, expires, milliseconds)
  if expires == '' then
    redis.call('HDEL', entry(key), 'x')
    redis.call('PERSIST', entry(key))
    unset_due(slot)
    write('expires', slot, NEVER)
  else
    redis.call('HSET', entry(key), 'x', expires)
    redis.call('PEXPIRE', entry(key), milliseconds + PROOF * 1000)
    set_due(slot, expires)
    write_number('expires', slot, tonumber(expires))
  end
end

local function write_row(key, slot, columns)
  write('key', slot, bytes_of(key))
  for at, name in ipairs(COLUMNS) do write(name, slot, string.sub(columns, at * 8 - 7, at * 8)) end
end

-- A place in the columns that no entry has.
local function new_slot()
  local slot = redis.call('LPOP', P..'free') or redis.call('HINCRBY', P..'counts', 'next', 1) - 1
  write_number('hits', slot, 0)
  write('last_hit', slot, UNKNOWN)
  write_number('size_bytes', slot, 0)
  return slot
end

local function free(slot)
  redis.call('HINCRBY', P..'counts', 'bytes', 0 - number('size_bytes', slot))
  write('created', slot, UNKNOWN)
  redis.call('HINCRBY', P..'counts', 'entries', 0 - redis.call('ZREM', P..'lru', slot))
  unset_due(slot)
  redis.call('RPUSH', P..'free', slot)
end

local function write_size(slot, size)
  redis.call('HINCRBY', P..'counts', 'bytes', size - number('size_bytes', slot))
  write_number('size_bytes', slot, size)
end

local function take_tombstone(key)
  redis.call('HDEL', P..'gone', key)
  redis.call('ZREM', P..'gone_order', key)
end

-- A tombstone says when and why; the latest are kept.
local function bury(key, why, when)
  redis.call('HSET', P..'gone', key, when..' '..why)
  redis.call('ZADD', P..'gone_order', redis.call('HINCRBY', P..'counts', 'tombstones', 1), key)
  while redis.call('ZCARD', P..'gone_order') > TOMBSTONES do
    redis.call('HDEL', P..'gone', redis.call('ZPOPMIN', P..'gone_order')[1])
  end
end

-- Delete an entry. Without a reason, or if it has explained a miss already, it leaves no tombstone.
local function drop(key, slot, why, when)
  local explained = redis.call('HEXISTS', entry(key), 't') == 1
  redis.call('UNLINK', entry(key))
  free(slot)
  if why ~= '' and not explained then bury(key, why, when) end
end

local function drop_expired(until_when, most, but)
  for _, slot in ipairs(redis.call('ZRANGEBYSCORE', P..'due', '-inf', until_when, 'LIMIT', 0, most)) do
    if slot ~= but then drop(key_at(slot), slot, 'expired', redis.call('ZSCORE', P..'due', slot)) end
  end
end

-- An entry whose key the server has evicted is in the columns still.
local function forget_if_gone(slot)
  local alive = number('created', slot)
  if alive == alive and redis.call('HGET', entry(key_at(slot)), 's') ~= tostring(slot) then
    free(slot)
    return 1
  end
  return 0
end

-- The slot at which an entry is listed. What its own field says may be of lists that were dropped.
local function listed_at(key, slot)
  return slot and number('created', slot) == number('created', slot) and raw('key', slot, 20) == bytes_of(key) and slot or nil
end

-- The slot and the expiry of an entry; expired ones are deleted if `now` is given, and are none.
local function live(key, now)
  local slot, expires = unpack(redis.call('HMGET', entry(key), 's', 'x'))
  slot = listed_at(key, slot)
  if slot and expires and tonumber(expires) <= now then return nil, slot, expires end
  return slot or nil
end

-- What a row is read from: see `rows.py`. An entry that is gone is false.
local function row_at(slot, with_payload)
  local created = number('created', slot)
  if created ~= created then return false end
  local key = key_at(slot)
  local row, at, expires, cost, size = unpack(redis.call('HMGET', entry(key), 'r', 's', 'x', 'c'))
  if at ~= tostring(slot) then return false end
  return {
    key, row, expires or '', cost or '', eight('hits', slot, struct.pack('<d', 0)), eight('last_hit', slot, UNKNOWN),
    redis.call('HSTRLEN', entry(key), 'p'), owners_of(key),
    with_payload and redis.call('HGET', entry(key), 'p') or '',
  }
end
