-- List entries that are there, and in no list: five arguments each, of which the last is the time.
if not is_complete() then drop_lists() end
for at = 1, #ARGV, 5 do
  local key, columns, expires, milliseconds, now = unpack(ARGV, at, at + 4)
  local head = read_entry(key)
  if not head then
    redis.call('UNLINK', entry(key)) -- it is none that nbcache writes
  elseif not listed_at(key, head.slot) then
    local slot = new_slot()
    redis.call('SETRANGE', entry(key), SLOT_AT, struct.pack('<I4', slot))
    write_row(key, slot, columns)
    write_owners(slot, head.owners)
    write_expiry(key, slot, expires, milliseconds)
    write_size(slot, redis.call('STRLEN', entry(key)) - head.start)
    use(slot, now)
  end
end
