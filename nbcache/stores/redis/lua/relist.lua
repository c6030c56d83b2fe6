-- List an entry that is there, and in no list.
local key, columns, expires, milliseconds, now = unpack(ARGV)
if not is_complete() then drop_lists() end
if listed_at(key, redis.call('HGET', entry(key), 's')) then return end
local size = redis.call('HSTRLEN', entry(key), 'p')
if redis.call('EXISTS', entry(key)) == 0 then return end
local slot = new_slot()
redis.call('HSET', entry(key), 's', slot)
write_row(key, slot, columns)
write_owners(key, slot)
write_expiry(key, slot, expires, milliseconds)
write_size(slot, size)
use(slot, now)
