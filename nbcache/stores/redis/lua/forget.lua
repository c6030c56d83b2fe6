-- Whether an entry is listed at a slot, and not there. With the third argument, the slot is freed.
local key, slot = ARGV[1], ARGV[2]
local created = number('created', slot)
if created ~= created or key_at(slot) ~= key or redis.call('HGET', entry(key), 's') == slot then return 0 end
if ARGV[3] == '1' then free(slot) end
return 1
