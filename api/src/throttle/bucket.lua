-- Counts a request in the bucket KEYS[1]: the generic cell rate algorithm. A bucket is one number, the moment
-- at which it will be full again, and is gone once it is. ARGV: microseconds for one more request, the size.
-- Redis' own clock: the API processes need not agree on the time.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, size = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local room = size * interval - (full - now)
if room < interval then
  return {0, 0, full - now, interval - room}
end
full = full + interval
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return {1, math.floor((room - interval) / interval), full - now, 0}
