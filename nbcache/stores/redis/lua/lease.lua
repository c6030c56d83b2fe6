-- Take the lease of a key. Returns its payload, 1 if the lease is the token's now, 0 if it is another's, 2 if nobody needs it.
local key, token, milliseconds, now = unpack(ARGV)
if live(key, tonumber(now)) then return payload_of(key, head_of(key)) end
local holder = asked('GET', lease(key))
if holder == '' then return 2 end
if holder and holder ~= token then return 0 end
redis.call('SET', lease(key), token, 'PX', milliseconds)
return 1
