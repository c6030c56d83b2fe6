-- The rows of these keys.
local rows = {}
for at, key in ipairs(ARGV) do
  local slot = listed_at(key, redis.call('HGET', entry(key), 's'))
  rows[at] = slot and row_at(slot) or false
end
return rows
