-- Whether entries are listed as they should be, and how many keys the server has evicted.
local is_listed = is_complete() and redis.call('HEXISTS', P..'counts', 'incomplete') == 0
local stats = redis.pcall('INFO', 'stats')
return {is_listed and 1 or 0, type(stats) == 'string' and tonumber(string.match(stats, 'evicted_keys:(%d+)')) or 0}
