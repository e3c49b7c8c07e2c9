#!lua
-- Takes or renews a lease.      KEYS 1 lease   ARGV 1 owner  2 how long, in milliseconds
-- Answers 1 when the owner has it now, 0 when another one has it.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
