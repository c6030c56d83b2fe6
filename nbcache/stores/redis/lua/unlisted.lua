-- Those of these keys that have an entry which is in no list.
local found = {}
for _, key in ipairs(ARGV) do
  local there, slot = redis.call('EXISTS', entry(key)), redis.call('HGET', entry(key), 's')
  if there == 1 and not listed_at(key, slot) then found[#found + 1] = key end
end
return found
