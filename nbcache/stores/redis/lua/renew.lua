-- Let leases last longer: two arguments each, a key and a token. What has ended is taken again, unless there is an entry by now.
local milliseconds, now = ARGV[1], tonumber(ARGV[2])
for at = 3, #ARGV, 2 do
  local key, token = ARGV[at], ARGV[at + 1]
  local holder = asked('GET', lease(key))
  if holder == token or (not holder and not live(key, now)) then
    redis.call('SET', lease(key), token, 'PX', milliseconds)
  end
end
