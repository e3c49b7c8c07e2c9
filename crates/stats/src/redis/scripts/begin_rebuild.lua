#!lua
-- Begins a new life of a partition's statistics beside the present one, if any.
--
-- KEYS 1 state of the rebuild  2 state  ARGV 1 epoch  2 entry to read the stream after  3 entries before  4 TTL in seconds
-- Answers 'OK', or 'STALE' when there is a life that is not older.
local present = redis.call('HGET', KEYS[2], 'epoch')
if redis.call('EXISTS', KEYS[1]) == 1 or (present and tonumber(present) >= tonumber(ARGV[1])) then
  return 'STALE'
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', 0, 'applied', ARGV[2], 'read', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 'OK'
