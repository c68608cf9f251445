-- MsgPack:1, Kong's side of it. Each call, each Step too, takes a connection from the pool and gives
-- it back: an event's Steps may go over several. What fails is logged, and the request goes on
-- without the plugin; but a PDK call that raises, or an instance that does not start, ends it.

local cjson = require "cjson"
local mp = require "MessagePack"
local instances = require "gateway.instances"
local pdk = require "gateway.pdk"

-- The types that Kong writes: no str8, an empty table as an empty array.
mp.set_string "string_compat"
mp.set_array "without_hole"
mp.set_number "double"

-- A value that brings its own packer: function(buffer).
mp.packers["function"] = function(buffer, pack)
  pack(buffer)
end
mp.packers["userdata"] = function(buffer, value)
  assert(value == cjson.null, "pack 'userdata'")
  mp.packers["nil"](buffer)
end

local Client = {}
Client.__index = Client

local server_pid -- of the process behind the socket, whichever plugin's call has heard of it

local function new(plugin)
  return setmetatable({ plugin = plugin, msgid = 0 }, Client)
end

-- A map whose values are all arrays: {a = "x", b = true} gives {a = ["x"], b = []}.
local function multi_map(map)
  local arrays, count = {}, 0
  for key, value in pairs(map) do
    count = count + 1
    if value == true then
      arrays[key] = {}
    else
      arrays[key] = type(value) == "table" and value or { value }
    end
  end
  return function(buffer)
    mp.packers["map"](buffer, arrays, count)
  end
end

local function binary(bytes)
  return function(buffer)
    mp.packers["binary"](buffer, bytes)
  end
end

-- How a function's result goes out, and by which method where it is not plain plugin.Step.
local results = {
  ["kong.request.get_query"] = { method = "plugin.StepMultiMap", shape = multi_map },
  ["kong.request.get_headers"] = { method = "plugin.StepMultiMap", shape = multi_map },
  ["kong.response.get_headers"] = { method = "plugin.StepMultiMap", shape = multi_map },
  ["kong.service.response.get_headers"] = { method = "plugin.StepMultiMap", shape = multi_map },
  ["kong.request.get_raw_body"] = { shape = binary },
  ["kong.response.get_raw_body"] = { shape = binary },
  ["kong.service.response.get_raw_body"] = { shape = binary },
  ["kong.client.get_credential"] = { method = "plugin.StepCredential" },
  ["kong.client.authenticate"] = { method = "plugin.StepCredential" },
  ["kong.client.load_consumer"] = { method = "plugin.StepConsumer" },
  ["kong.client.get_consumer"] = { method = "plugin.StepConsumer" },
  ["kong.node.get_memory_stats"] = { method = "plugin.StepMemoryStats" },
  ["kong.router.get_route"] = { method = "plugin.StepRoute" },
  ["kong.router.get_service"] = { method = "plugin.StepService" },
}

local function notified(label, pid)
  if label ~= "serverPid" then
    return
  end
  if server_pid and server_pid ~= pid then
    ngx.log(ngx.NOTICE, "plugin server ", server_pid, " is now ", pid)
    instances.forget()
  end
  server_pid = pid
end

local function read_reply(socket, msgid)
  local next_message = mp.unpacker(function()
    return (socket:receiveany(4096))
  end)
  while true do
    local more, message = next_message()
    if not more then
      return nil, "no data"
    elseif message[1] == 2 then
      notified(message[2], message[3])
    else
      assert(message[1] == 1, "not a response")
      assert(message[2] == msgid, "response to another request")
      if message[3] ~= nil then
        return nil, message[3]
      end
      return message[4]
    end
  end
end

function Client:call(method, argument)
  self.msgid = self.msgid + 1
  local msgid = self.msgid
  local request = mp.pack({ 0, msgid, method, { argument } })
  local socket = ngx.socket.tcp()
  local ok, err = socket:connect("unix:" .. self.plugin.socket)
  if not ok then
    return nil, "connecting: " .. err
  end
  ok, err = socket:send(request)
  if not ok then
    return nil, err
  end
  local result
  result, err = read_reply(socket, msgid)
  socket:setkeepalive()
  return result, err
end

function Client:start_instance(config)
  local status, err = self:call("plugin.StartInstance",
    { Name = self.plugin.name, Config = cjson.encode(config) })
  return status and status.Id, err
end

function Client:close_instance(id)
  return self:call("plugin.CloseInstance", id)
end

-- One PDK call of an event: the method of its Step, and the Step's Data.
local function step(req, asked)
  local args = type(asked.Args) == "table" and asked.Args or { asked.Args }
  if not pdk.known(asked.Method) then
    ngx.log(ngx.ERR, "no PDK function ", asked.Method)
    return "plugin.Step", nil
  end
  args.n = #args
  local value, err = pdk.call(req, asked.Method, args)
  local how = results[asked.Method] or {}
  if how.shape then
    value = how.shape(value)
  end
  if not value and err then
    return "plugin.StepError", err
  end
  return how.method or "plugin.Step", value
end

local function try_event(self, req, config, phase)
  local id, err = instances.get(self, config)
  if not id then
    return nil, err
  end
  local state
  state, err = self:call("plugin.HandleEvent", { InstanceId = id, EventName = phase })
  while state do
    if state.Data == "ret" then
      return true
    end
    local method, data = step(req, state.Data)
    state, err = self:call(method, { EventId = state.EventId, Data = data })
  end
  return nil, err
end

function Client:handle_event(req, config, phase)
  while true do
    local ok, err = try_event(self, req, config, phase)
    if ok then
      return
    end
    err = tostring(err)
    if not err:lower():find("no plugin instance", 1, true) then
      ngx.log(ngx.ERR, err)
      return
    end
    ngx.log(ngx.WARN, err, ", trying again")
    instances.reset()
  end
end

return { new = new }
