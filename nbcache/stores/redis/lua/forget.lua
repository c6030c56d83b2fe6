-- How many of these keys are listed at these slots, and have no entry. If the first argument is 1, the slots are freed.
local gone = 0
if not is_complete() then return 0 end
for at = 2, #ARGV, 2 do
  local key, slot = ARGV[at], ARGV[at + 1]
  if listed_at(key, slot) and slot_of(key) ~= tonumber(slot) then
    gone = gone + 1
    if ARGV[1] == '1' then free(slot) end
  end
end
return gone
