-- Replace payload, row and expiry of an entry, if it is still the one that was read. Returns whether it is.
local key, payload_digest, old_row, payload, row, columns, expires, milliseconds = unpack(ARGV)
if not is_complete() then drop_lists() end
local slot, there, payload_now = unpack(redis.call('HMGET', entry(key), 's', 'r', 'p'))
slot = listed_at(key, slot)
if not slot or there ~= old_row or redis.sha1hex(payload_now) ~= payload_digest then return 0 end
redis.call('HSET', entry(key), 'p', payload, 'r', row)
redis.call('HDEL', entry(key), 't')
write_row(key, slot, columns)
write_expiry(key, slot, expires, milliseconds)
write_size(slot, #payload)
return 1
