-- How many entries there are that have not expired, their bytes, and how many were evicted.
local bytes, evictions = unpack(redis.call('HMGET', P..'counts', 'bytes', 'evictions'))
local entries = redis.call('ZCARD', P..'lru')
bytes = tonumber(bytes or 0)
for _, slot in ipairs(redis.call('ZRANGEBYSCORE', P..'due', '-inf', ARGV[1])) do
  entries, bytes = entries - 1, bytes - number('size_bytes', slot)
end
return {entries, bytes, tonumber(evictions or 0)}
