-- Why and when the entry was removed, which missed then; {} if it was not.
local key, when, keep = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local head = head_of(key)
if head and head.expires <= when and head.explained == 0 then
  if not keep then redis.call('SETRANGE', entry(key), EXPLAINED_AT, '\1') end
  return {'expired', string.format('%.17g', head.expires)}
end
local gone, why = string.match(asked('HGET', P..'gone', key) or '', '^(%S+) (.+)$')
if not gone or (tonumber(gone) or 0) > when then return {} end
if not keep then take_tombstone(key) end
return {why, gone}
