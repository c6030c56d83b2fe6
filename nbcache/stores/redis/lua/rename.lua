-- Move the ledger and the sessions of one owner to another.
local old, new = ARGV[1], ARGV[2]
if old == new then return end

local function append(name)
  for _, value in ipairs(redis.call('LRANGE', P..name..old, 0, -1)) do
    redis.call('LREM', P..name..new, 0, name == 'sessions:' and value or '')
    redis.call('RPUSH', P..name..new, value)
  end
  redis.call('UNLINK', P..name..old)
end

for _, session in ipairs(redis.call('LRANGE', P..'sessions:'..old, 0, -1)) do
  redis.call('RENAME', P..'calls:'..old..':'..session, P..'calls:'..new..':'..session)
end
append('sessions:')
append('spent:')
while redis.call('LLEN', P..'sessions:'..new) > 2 do
  redis.call('UNLINK', P..'calls:'..new..':'..redis.call('LPOP', P..'sessions:'..new))
end
if redis.call('SREM', P..'spenders', old) == 1 then redis.call('SADD', P..'spenders', new) end
