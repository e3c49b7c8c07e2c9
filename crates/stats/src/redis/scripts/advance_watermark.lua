#!lua
-- Moves a partition's watermark, when it and the server still are those that were found.
--
-- KEYS 1 watermark   ARGV 1 watermark that was found, or ''  2 run id that was found, or ''  3 the new watermark
-- Answers 1, or 0 when nothing was changed.
local said = redis.pcall('INFO', 'server')
local server = type(said) == 'string' and string.match(said, 'run_id:(%w+)') or ''
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] or server ~= ARGV[2] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[3])
return 1
