#!lua flags=no-writes
-- What an owner needs to know of its partition, from one moment.
--
-- KEYS  1 state  2 stream        ARGV  1 entry to read after  2 how many entries  3 longest entry in bytes
-- Answers {seconds, microseconds, epoch, seq, applied, read, last entry, entries ever added, entries}; a state that is
-- not there is ''. An entry is {id, size, bytes}; one that is too long comes without its bytes, so that an answer has a
-- bound, and one without the field has size -1.

local time = redis.call('TIME')
local state = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'applied', 'read')
local last, added = '0-0', 0
local entries = {}
if redis.call('EXISTS', KEYS[2]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      last = info[i + 1]
    elseif info[i] == 'entries-added' then
      added = info[i + 1]
    end
  end
  if tonumber(ARGV[2]) > 0 then
    for n, found in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])) do
      local entry = { found[1], -1, '' }
      for i = 1, #found[2], 2 do
        if found[2][i] == 'e' then
          local bytes = found[2][i + 1]
          entry = { found[1], #bytes, #bytes <= tonumber(ARGV[3]) and bytes or '' }
        end
      end
      entries[n] = entry
    end
  end
end
return { time[1], time[2], state[1] or '', state[2] or '', state[3] or '', state[4] or '0', last, added, entries }
