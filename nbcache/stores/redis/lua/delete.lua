-- Delete entries or, with an owner, remove its ownership and delete those without another. Returns deleted, bytes and kept.
if not is_complete() then drop_lists() end
local now, why, owner = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local deleted, freed, kept = 0, 0, 0
for at = 4, #ARGV do
  local key = ARGV[at]
  local slot, expired_slot, expired = live(key, now)
  if expired_slot then
    drop(key, expired_slot, 'expired', expired)
  elseif slot then
    if owner ~= '' then redis.call('HDEL', entry(key), owner) end
    if owner ~= '' and write_owners(key, slot) > 0 then
      kept = kept + 1
    else
      deleted, freed = deleted + 1, freed + number('size_bytes', slot)
      drop(key, slot, why, ARGV[1])
    end
  else
    redis.call('UNLINK', entry(key))
  end
end
return {deleted, freed, kept}
