#!lua
-- Puts a finished rebuild in the place of what was there: by one rename, so there is no moment between.
--
-- KEYS 1 state of the rebuild  2 state   ARGV 1 epoch
-- Answers 'OK', or 'STALE' when the rebuild is gone, or another one that is not older was finished before.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local present = redis.call('HGET', KEYS[2], 'epoch')
if epoch ~= ARGV[1] or (present and tonumber(present) >= tonumber(epoch)) then
  return 'STALE'
end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('PERSIST', KEYS[2])
return 'OK'
