-- Sliding windows, the algorithm of window.rs: all limits of a request are judged in one step, and counted only when
-- all of them allow it.
--
-- KEYS       one hash per limit: n (requests counted), h and t (first slot, slot behind the last), and a field per
--            slot, "newest,count"
-- ARGV[1]    the time in milliseconds; empty: this server's own, so that the nodes' clocks do not matter
-- ARGV[2]    1: count what is allowed; -1: take back what was counted last, of each key
-- ARGV[3..]  for each key: limit, window in milliseconds, milliseconds that share a slot
-- Answers {refusing key or 0, time, then remaining and the time at which there is room: of the refusing key, or of all}
--
-- Whatever is written is given its end of life in the same step: no counter outlives its window.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local counting = ARGV[2] == '1'

local function slot(key, index)
  local text = redis.call('HGET', key, index)
  if not text then return 0, 0 end
  local newest, count = string.match(text, '^(%-?%d+),(%d+)$')
  return tonumber(newest) or 0, tonumber(count) or 0
end

local function put(key, index, newest, count)
  redis.call('HSET', key, index, string.format('%.0f,%.0f', newest, count))
end

local function look(key, first)
  local found = redis.call('HMGET', key, 'n', 'h', 't')
  local state = {
    key = key, limit = tonumber(ARGV[first]), window = tonumber(ARGV[first + 1]), slot_ms = tonumber(ARGV[first + 2]),
    n = tonumber(found[1]) or 0, h = tonumber(found[2]) or 0, t = tonumber(found[3]) or 0, changed = false,
  }
  -- A clock that was set back would keep requests of "later" for ever: they happened, at the latest, now.
  for index = state.t - 1, state.h, -1 do
    local newest, count = slot(key, index)
    if newest <= now then break end
    put(key, index, now, count)
    state.changed = true
  end
  while state.h < state.t do
    local newest, count = slot(key, state.h)
    if newest + state.window > now then break end
    redis.call('HDEL', key, state.h)
    state.n = state.n - count
    state.h = state.h + 1
    state.changed = true
  end
  if state.h == state.t then state.n = 0 end
  return state
end

local function keep(state)
  if state.h == state.t then
    redis.call('DEL', state.key)
  elseif state.changed then
    redis.call('HSET', state.key, 'n', state.n, 'h', state.h, 't', state.t)
    redis.call('PEXPIRE', state.key, string.format('%.0f', state.window))
  end
end

-- When the next slot leaves so that fewer than the limit remain; with room: when the oldest leaves; empty: now.
local function room_at(state)
  local left = state.n
  for index = state.h, state.t - 1 do
    local newest, count = slot(state.key, index)
    left = left - count
    if left < state.limit then return newest + state.window end
  end
  return now
end

local function count(state)
  state.n = state.n + 1
  state.changed = true
  if state.h < state.t then
    local newest, counted = slot(state.key, state.t - 1)
    if math.floor(newest / state.slot_ms) == math.floor(now / state.slot_ms) then
      put(state.key, state.t - 1, math.max(newest, now), counted + 1)
      return
    end
  end
  put(state.key, state.t, now, 1)
  state.t = state.t + 1
end

local function uncount(state)
  if state.h == state.t then return end
  local newest, counted = slot(state.key, state.t - 1)
  if counted > 1 then
    put(state.key, state.t - 1, newest, counted - 1)
  else
    redis.call('HDEL', state.key, state.t - 1)
    state.t = state.t - 1
  end
  state.n = state.n - 1
  state.changed = true
end

if ARGV[2] == '-1' then
  for index, key in ipairs(KEYS) do
    local state = look(key, 3 * index)
    uncount(state)
    keep(state)
  end
  return {0, now}
end

local states, refusing = {}, 0
for index, key in ipairs(KEYS) do
  local state = look(key, 3 * index)
  states[index] = state
  if state.n >= state.limit then
    refusing = index
    break
  end
end

local answer = {refusing, now}
for index, state in ipairs(states) do
  if refusing == 0 and counting then count(state) end
  if refusing == 0 or refusing == index then
    answer[#answer + 1] = math.max(state.limit - state.n, 0)
    answer[#answer + 1] = room_at(state)
  end
  keep(state)
end
return answer
