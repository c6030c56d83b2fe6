-- Record what a session called: fields and values, after the owner and the session. The last two sessions are kept.
local sessions = P..'sessions:'..ARGV[1]
local calls = P..'calls:'..ARGV[1]..':'
if not redis.call('LPOS', sessions, ARGV[2]) then redis.call('RPUSH', sessions, ARGV[2]) end
for at = 3, #ARGV, 2 do redis.call('HSET', calls..ARGV[2], ARGV[at], ARGV[at + 1]) end
while redis.call('LLEN', sessions) > 2 do redis.call('UNLINK', calls..redis.call('LPOP', sessions)) end
