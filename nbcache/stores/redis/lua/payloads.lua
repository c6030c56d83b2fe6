-- The row and the payload of each of these keys, one after the other; false where the entry is gone.
local found = {}
for at, key in ipairs(ARGV) do
  found[2 * at - 1], found[2 * at] = unpack(redis.call('HMGET', entry(key), 'r', 'p'))
end
return found
