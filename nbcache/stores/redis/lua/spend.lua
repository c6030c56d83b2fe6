-- Add rows to the ledger: an owner and a text each.
if not is_new(ARGV[1], ARGV[2]) then return end
for at = 3, #ARGV, 2 do
  redis.call('SADD', P..'spenders', ARGV[at])
  redis.call('RPUSH', P..'spent:'..ARGV[at], ARGV[at + 1])
end
