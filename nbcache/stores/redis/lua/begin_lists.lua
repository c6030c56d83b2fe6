-- Drop lists of entries that are incomplete.
if not is_complete() then drop_lists() end
