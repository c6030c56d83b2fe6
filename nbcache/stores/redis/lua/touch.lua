-- Note hits, owners and costs of entries: six arguments each. An owner is written as its field.
if not is_new(ARGV[1], ARGV[2]) then return end
if not is_complete() then drop_lists() end
local now, ahead = tonumber(ARGV[3]), tonumber(ARGV[4])
for at = 5, #ARGV, 6 do
  local key, owner, hits, when, cost, charged = unpack(ARGV, at, at + 5)
  if ahead ~= 0 then when = string.format('%.17g', when + ahead) end -- a retry has to have what was written at first
  local slot = live(key, now)
  if slot then
    if owner ~= '' and redis.call('HSET', entry(key), owner, '') == 1 then write_owners(key, slot) end
    if tonumber(hits) > 0 then
      local last = number('last_hit', slot)
      write_number('hits', slot, number('hits', slot) + hits)
      if last ~= last or last < tonumber(when) then write_number('last_hit', slot, tonumber(when)) end
      use(slot, when)
    end
    if cost ~= '' then
      redis.call('HSET', entry(key), 'c', charged..cost)
      write_number('cost_usd', slot, tonumber(cost))
    end
  end
end
