-- Whether the totals are other than what is listed. With the first argument they are corrected.
local bytes, entries, unused = 0, 0, {}
for slot = 0, whole(asked('HGET', P..'counts', 'next')) - 1 do
  local created = number('created', slot)
  if created == created then
    entries, bytes = entries + 1, bytes + amount('size_bytes', slot)
    if not redis.call('ZSCORE', P..'lru', slot) then unused[#unused + 1] = slot end
  end
end
if not is_complete() then return 0 end
local is_right = #unused == 0 and redis.call('ZCARD', P..'lru') == entries
  and whole(redis.call('HGET', P..'counts', 'bytes')) == bytes
if is_right then return 0 end
if ARGV[1] == '1' then
  redis.call('HSET', P..'counts', 'bytes', bytes)
  for _, slot in ipairs(unused) do use(slot, number('created', slot)) end
  for _, slot in ipairs(redis.call('ZRANGE', P..'lru', 0, -1)) do
    local created = number('created', slot)
    if created ~= created then add('entries', 0 - redis.call('ZREM', P..'lru', slot)) end
  end
end
return 1
