-- End a lease without an answer. If the call did not fail, its answer is not stored: for a while nobody waits for one.
local key, token, failed, milliseconds = unpack(ARGV)
if asked('GET', lease(key)) ~= token then return end
if failed == '1' then
  redis.call('DEL', lease(key))
else
  redis.call('SET', lease(key), '', 'PX', milliseconds)
end
