-- Why and when the entry was removed, which missed then; {} if it was not.
local key, when, keep = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local expires, explained = unpack(redis.call('HMGET', entry(key), 'x', 't'))
if expires and tonumber(expires) <= when and not explained then
  if not keep then redis.call('HSET', entry(key), 't', '') end
  return {'expired', expires}
end
local gone, why = string.match(redis.call('HGET', P..'gone', key) or '', '^(%S+) (.+)$')
if not gone or tonumber(gone) > when then return {} end
if not keep then take_tombstone(key) end
return {why, gone}
