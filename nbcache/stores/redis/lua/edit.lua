-- Replace payload, row and expiry of an entry, if it is still the one that was read. Returns whether it is.
local key, payload_digest, old_row, payload, row, columns, expires, milliseconds = unpack(ARGV)
if not is_complete() then drop_lists() end
local head = read_entry(key)
local slot = head and listed_at(key, head.slot)
if not slot or head.row ~= old_row or redis.sha1hex(payload_of(key, head)) ~= payload_digest then return 0 end
head.row, head.explained = row, 0
write_entry(key, head, payload)
write_row(key, slot, columns)
write_expiry(key, slot, expires, milliseconds)
write_size(slot, #payload)
return 1
