-- Those of these keys that have an entry which is in no list.
local found = {}
for _, key in ipairs(ARGV) do
  if redis.call('EXISTS', entry(key)) == 1 and not listed_at(key, slot_of(key)) then found[#found + 1] = key end
end
return found
