-- The plugin server's instances, as one worker of Kong knows them: one a configuration, started when
-- an event needs it, closed when a newer configuration's has started, forgotten all at once when the
-- server does not know one of them.

local M = {}

local POLL_SECONDS = 0.1
local POLLS = 100

local running = {} -- by plugin id: { id = …, seq = … }, without id while it is being started
local known_resets = 0

local function shared_resets()
  return ngx.shared.gateway:get("resets") or 0
end

-- Another worker may have found that the server is a new one.
local function follow_other_workers()
  local resets = shared_resets()
  if resets ~= known_resets then
    known_resets = resets
    running = {}
  end
end

-- Here and, by a counter in shared memory, in the other workers.
function M.reset()
  running = {}
  known_resets = ngx.shared.gateway:incr("resets", 1, 0)
end

-- In this worker only: its connection has announced another process. A start under way stays: its
-- answer comes from the new one.
function M.forget()
  for key, instance in pairs(running) do
    if instance.id then
      running[key] = nil
    end
  end
end

local function wait_for_starter(key)
  local instance = running[key]
  local polls = 0
  while instance and not instance.id do
    ngx.sleep(POLL_SECONDS)
    polls = polls + 1
    if polls > POLLS then
      running[key] = nil
      return nil, "could not claim an instance id"
    end
    instance = running[key]
  end
  return instance
end

-- The id of the instance for this configuration; nil and a text when another request's start of it
-- takes more than 10 s. Raises when its own start fails. client has start_instance(config) and
-- close_instance(id).
function M.get(client, config)
  follow_other_workers()
  local key = config.__plugin_id
  local instance, err = wait_for_starter(key)
  if err then
    return nil, err
  end
  if instance and instance.seq == config.__seq__ then
    return instance.id
  end

  local old_id = instance and instance.id
  local claim = { seq = config.__seq__ }
  running[key] = claim
  local ok, id, start_err = pcall(client.start_instance, client, config)
  if not ok or not id then
    running[key] = nil
    error("starting instance: " .. tostring(start_err or id), 0)
  end
  claim.id = id
  ngx.log(ngx.NOTICE, "instance ", id, " started for configuration ", config.__seq__)
  if old_id then
    local closed, close_err = client:close_instance(old_id)
    ngx.log(ngx.NOTICE, "instance ", old_id, closed and " closed" or " not closed: ",
      close_err or "")
  end
  return id
end

return M
