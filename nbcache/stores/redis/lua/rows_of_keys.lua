-- The rows of these keys.
local rows = {}
for at, key in ipairs(ARGV) do
  local slot = listed_at(key, slot_of(key))
  rows[at] = slot and row_at(slot) or false
end
return rows
