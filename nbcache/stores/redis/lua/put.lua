-- Store an entry, and evict what exceeds the bounds. Returns the rows of the evicted ones, if they are wanted.
-- It ends the lease of the key. A call whose own lease has ended replaces no entry: that is a later answer than its own.
local key, payload, row, columns, now, expires, milliseconds = unpack(ARGV, 1, 7)
local max_bytes, max_entries, wants_rows = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10] == '1'
local token = ARGV[11]
local moment = now -- as it was written, with all of its digits
now = tonumber(now)

local function is_over()
  return (max_entries > 0 and redis.call('ZCARD', P..'lru') > max_entries)
    or (max_bytes > 0 and whole(redis.call('HGET', P..'counts', 'bytes')) > max_bytes)
end

if not is_complete() then drop_lists() end
drop_expired(now - PROOF, 20)
for _, slot in ipairs(redis.call('ZRANDMEMBER', P..'lru', 2)) do forget_if_gone(slot) end
local slot, expired_slot, expired = live(key, now)
if slot and token ~= '' and asked('GET', lease(key)) ~= token then return {} end
redis.call('DEL', lease(key))
if expired_slot then drop(key, expired_slot, 'expired', expired) end
slot = slot or new_slot()
local before = read_entry(key)
local head = {expires = 0, slot = slot, row = row, cost = '', explained = 0, owners = before and before.owners or {}}
for at = 12, #ARGV do add_owner(head, ARGV[at]) end
write_entry(key, head, payload)
write_row(key, slot, columns)
write_owners(slot, head.owners)
write_expiry(key, slot, expires, milliseconds)
write_size(slot, #payload)
use(slot, moment)

if is_over() then drop_expired(now, 1000, tostring(slot)) end
local evicted = {}
for _ = 1, 1000 do
  if not is_over() then break end
  local oldest = redis.call('ZRANGE', P..'lru', 0, 1)
  local victim = oldest[1] ~= tostring(slot) and oldest[1] or oldest[2]
  if not victim then break end
  if wants_rows then evicted[#evicted + 1] = row_at(victim) end
  drop(key_at(victim), victim, 'evicted', moment)
  add('evictions', 1)
end
return evicted
