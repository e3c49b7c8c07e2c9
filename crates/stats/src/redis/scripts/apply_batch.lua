#!lua
-- Applies a batch of outcomes to one partition, and moves its offset, or does nothing at all.
--
-- A script is isolated but not rolled back, so everything is checked before the first write: the state, the shape of
-- every argument, and that no outcome was counted before. Redis itself checks at the start that it has memory and is
-- no replica. The state is written last: were the script to end half way all the same, the next call would find the
-- names of the outcomes in their sets and the state as it was, and the partition would be rebuilt.
--
-- KEYS  1 state  2 stream  3 dead letters  4 snapshot  5 index of segments
--       then the sets of names, the buckets and the channels' marks, in the order of their arguments
-- ARGV  1-3 epoch, seq and applied entry that the caller found     4 the entry now applied   5 how many were read
--       6 snapshot, or ''                                           7 its TTL in seconds
--       8 stream is trimmed below this entry, or ''                 9 segments without outcomes since this bucket leave
--                                                                     the index, or ''
--      10-12 duplicates, late outcomes, late corrections           13-15 TTL of names, index, dead letters
--      16-20 how many sets, buckets, marks, index entries and dead letters follow
--       set:    count, name...
--       bucket: TTL, count, (field, delta)...
--       mark:   TTL, count, (field, value)...
--       index:  segment, newest bucket
--       dead:   entry, reason, bytes
-- Answers 'OK', or 'STALE' when somebody else was here first.

local FIXED_KEYS, FIXED_ARGS, DEAD_LETTERS = 5, 20, 10000

local function whole(text)
  if not text or not string.match(text, '^%-?%d+$') then
    error({ err = 'ERR argument is no whole number: ' .. tostring(text) })
  end
  return text
end

local state = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'applied')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2] or state[3] ~= ARGV[3] then
  return 'STALE'
end

-- The arguments, read and checked.
local key, at = FIXED_KEYS, FIXED_ARGS
local function next_key()
  key = key + 1
  return KEYS[key]
end
local function next_arg()
  at = at + 1
  return ARGV[at]
end
local function next_count()
  return tonumber(whole(next_arg()))
end
for number = 10, FIXED_ARGS do
  whole(ARGV[number])
end
local seq = string.format('%d', tonumber(whole(ARGV[2])) + 1)

local sets, buckets, marks, index, dead = {}, {}, {}, {}, {}
for n = 1, tonumber(ARGV[16]) do
  local set = { key = next_key(), names = {} }
  for i = 1, next_count() do
    set.names[i] = whole(next_arg())
  end
  sets[n] = set
end
for n = 1, tonumber(ARGV[17]) do
  local bucket = { key = next_key(), ttl = whole(next_arg()), deltas = {} }
  for i = 1, next_count() do
    bucket.deltas[i] = { next_arg(), whole(next_arg()) }
  end
  buckets[n] = bucket
end
for n = 1, tonumber(ARGV[18]) do
  local mark = { key = next_key(), ttl = whole(next_arg()), fields = {} }
  for i = 1, 2 * next_count() do
    mark.fields[i] = next_arg()
  end
  marks[n] = mark
end
for n = 1, tonumber(ARGV[19]) do
  index[n] = { next_arg(), whole(next_arg()) }
end
for n = 1, tonumber(ARGV[20]) do
  dead[n] = { next_arg(), next_arg(), next_arg() }
end
if at ~= #ARGV or key ~= #KEYS then
  return redis.error_reply('ERR the arguments do not add up')
end

for _, set in ipairs(sets) do
  for _, known in ipairs(redis.call('SMISMEMBER', set.key, unpack(set.names))) do
    if known == 1 then
      return 'STALE'
    end
  end
end

-- From here on everything is written.
for _, set in ipairs(sets) do
  redis.call('SADD', set.key, unpack(set.names))
  redis.call('EXPIRE', set.key, ARGV[13])
end
for _, bucket in ipairs(buckets) do
  for _, delta in ipairs(bucket.deltas) do
    redis.call('HINCRBY', bucket.key, delta[1], delta[2])
  end
  redis.call('EXPIRE', bucket.key, bucket.ttl)
end
for _, mark in ipairs(marks) do
  redis.call('HSET', mark.key, unpack(mark.fields))
  redis.call('EXPIRE', mark.key, mark.ttl)
end
for _, entry in ipairs(index) do
  local newest = tonumber(redis.call('HGET', KEYS[5], entry[1]) or '')
  if not newest or newest < tonumber(entry[2]) then
    redis.call('HSET', KEYS[5], entry[1], entry[2])
  end
end
if ARGV[9] ~= '' then
  local all = redis.call('HGETALL', KEYS[5])
  for i = 1, #all, 2 do
    if tonumber(all[i + 1]) < tonumber(ARGV[9]) then
      redis.call('HDEL', KEYS[5], all[i])
    end
  end
end
if #index > 0 then
  redis.call('EXPIRE', KEYS[5], ARGV[14])
end
for _, letter in ipairs(dead) do
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', DEAD_LETTERS, '*', 'entry', letter[1], 'reason', letter[2], 'bytes', letter[3])
  redis.call('EXPIRE', KEYS[3], ARGV[15])
end
if ARGV[6] ~= '' then
  redis.call('SET', KEYS[4], ARGV[6], 'EX', ARGV[7])
end
if ARGV[8] ~= '' then
  redis.call('XTRIM', KEYS[2], 'MINID', '~', ARGV[8])
end
local totals = { 'duplicates', ARGV[10], 'late', ARGV[11], 'late_revisions', ARGV[12], 'dead', ARGV[20], 'read', ARGV[5] }
for i = 1, #totals, 2 do
  if totals[i + 1] ~= '0' then
    redis.call('HINCRBY', KEYS[1], totals[i], totals[i + 1])
  end
end
redis.call('HSET', KEYS[1], 'seq', seq, 'applied', ARGV[4])
return 'OK'
