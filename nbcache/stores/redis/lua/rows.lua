-- The rows at these slots.
local rows, may_forget = {}, is_complete()
for at, slot in ipairs(ARGV) do
  rows[at] = row_at(slot)
  if may_forget and not rows[at] then forget_if_gone(slot) end
end
return rows
