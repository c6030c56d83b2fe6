-- Note hits, owners and costs of entries: six arguments each. An owner stands after a sign.
if not is_new(ARGV[1], ARGV[2]) then return end
if not is_complete() then drop_lists() end
local now, ahead = tonumber(ARGV[3]), tonumber(ARGV[4])

local function write_about(key, slot, owner, cost)
  local head = read_entry(key)
  local is_new_owner = owner ~= '' and add_owner(head, string.sub(owner, 2))
  if is_new_owner then write_owners(slot, head.owners) end
  if not is_new_owner and (cost == '' or cost == head.cost) then return end
  local payload = payload_of(key, head)
  if cost ~= '' then head.cost = cost end
  write_entry(key, head, payload)
end

for at = 5, #ARGV, 6 do
  local key, owner, hits, when, cost, charged = unpack(ARGV, at, at + 5)
  if ahead ~= 0 then when = string.format('%.17g', when + ahead) end -- a retry has to have what was written at first
  local slot = live(key, now)
  if slot then
    write_about(key, slot, owner, cost ~= '' and charged..cost or '')
    if tonumber(hits) > 0 then
      local last = number('last_hit', slot)
      write_number('hits', slot, amount('hits', slot) + hits)
      if last ~= last or last < tonumber(when) then write_number('last_hit', slot, tonumber(when)) end
      use(slot, when)
    end
    if cost ~= '' then write_number('cost_usd', slot, tonumber(cost)) end
  end
end
