#!lua flags=no-writes
-- A partition's watermark, whether the partition has a state, and which process of a server this is.
--
-- KEYS 1 watermark  2 state
-- Answers {watermark or '', 1 or 0, run id or ''}.
local said = redis.pcall('INFO', 'server')
local server = type(said) == 'string' and string.match(said, 'run_id:(%w+)') or ''
return { redis.call('GET', KEYS[1]) or '', redis.call('EXISTS', KEYS[2]), server }
