-- How many entries there are that have not expired, their bytes, and how many were evicted.
local bytes, evictions = unpack(asked('HMGET', P..'counts', 'bytes', 'evictions') or {})
local entries = redis.call('ZCARD', P..'lru')
bytes = whole(bytes)
for _, slot in ipairs(redis.call('ZRANGEBYSCORE', P..'due', '-inf', ARGV[1])) do
  entries, bytes = entries - 1, bytes - amount('size_bytes', slot)
end
return {entries, bytes, whole(evictions)}
