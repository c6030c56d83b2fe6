-- The rows at these slots.
local rows = {}
for at, slot in ipairs(ARGV) do
  rows[at] = row_at(slot)
  if not rows[at] then forget_if_gone(slot) end
end
return rows
