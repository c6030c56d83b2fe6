-- Delete entries or, with an owner, remove its ownership and delete those without another. Returns deleted, bytes and kept.
if not is_complete() then drop_lists() end
local now, why, owner = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local deleted, freed, kept = 0, 0, 0

-- Whether an entry has other owners, which keep it.
local function is_kept(key, slot)
  local head, others = read_entry(key), {}
  for _, other in ipairs(head.owners) do
    if '='..other ~= owner then others[#others + 1] = other end
  end
  if #others == 0 then return false end
  if #others < #head.owners then
    local payload = payload_of(key, head)
    head.owners = others
    write_entry(key, head, payload)
    write_owners(slot, others)
  end
  return true
end

for at = 4, #ARGV do
  local key = ARGV[at]
  local slot, expired_slot, expired = live(key, now)
  if expired_slot then
    drop(key, expired_slot, 'expired', expired)
  elseif not slot then
    redis.call('UNLINK', entry(key))
  elseif owner ~= '' and is_kept(key, slot) then
    kept = kept + 1
  else
    deleted, freed = deleted + 1, freed + amount('size_bytes', slot)
    drop(key, slot, why, ARGV[1])
  end
end
return {deleted, freed, kept}
