-- ProtoBuf:1, Kong's side of it. One call keeps its connection from the request to RpcReturn; in
-- between the server asks for PDK calls, method frame and argument frame, until an empty frame.

local cjson = require "cjson"
local pb = require "gateway.protobuf"
local messages = require "gateway.messages"
local instances = require "gateway.instances"
local values = require "gateway.values"
local pdk = require "gateway.pdk"

local Client = {}
Client.__index = Client

local function new(plugin)
  return setmetatable({ plugin = plugin, sequence = 0 }, Client)
end

local function read_frame(socket)
  local head, err = socket:receive(4)
  if not head then
    return nil, err
  end
  return socket:receive(pb.read_frame_length(head))
end

-- Two writes, as Kong does; a failing one raises.
local function write_frame(socket, bytes)
  assert(socket:send(pb.frame_length(#bytes)))
  assert(socket:send(bytes))
end

local function call_pdk(req, name, bytes)
  local method = messages.methods[name]
  if not method then
    return nil, ("method %q not found"):format(name)
  end
  local args = values.unwrap(method.takes, pb.decode(method.takes, bytes))
  local result = values.wrap(method.gives, pdk.call(req, name, args))
  return result and pb.encode(method.gives, result) or ""
end

local function answer_pdk_calls(socket, req)
  while true do
    local name, err = read_frame(socket)
    if not name then
      return nil, err
    elseif name == "" then
      return true
    end
    local args, result
    args, err = read_frame(socket)
    if not args then
      return nil, err
    end
    result, err = call_pdk(req, name, args)
    if not result then
      return nil, err
    end
    write_frame(socket, result)
  end
end

-- req: the request whose PDK calls are answered, for cmd_handle_event only. A call that fails leaves
-- its connection out of the pool: it closes.
local function exchange(self, socket, command, argument, req)
  self.sequence = self.sequence + 1
  local sequence = self.sequence
  write_frame(socket, pb.encode("RpcCall", { sequence = sequence, [command] = argument }))
  if req then
    local ok, err = answer_pdk_calls(socket, req)
    if not ok then
      return nil, err
    end
  end
  local bytes, err = read_frame(socket)
  if not bytes then
    return nil, err
  end
  local reply = pb.decode("RpcReturn", bytes)
  if reply.sequence ~= sequence then
    error(("RpcReturn %d to call %d"):format(reply.sequence, sequence))
  end
  socket:setkeepalive()
  return reply
end

function Client:call(command, argument, req)
  local socket = ngx.socket.tcp()
  local ok, err = socket:connect("unix:" .. self.plugin.socket)
  if not ok then
    return nil, "connecting: " .. err
  end
  local reply
  reply, err = exchange(self, socket, command, argument, req)
  if not reply then
    socket:close()
  end
  return reply, err
end

function Client:start_instance(config)
  local reply, err = self:call("cmd_start_instance",
    { name = self.plugin.name, config = cjson.encode(config) })
  if not reply then
    return nil, err
  elseif not reply.instance_status then
    error("RpcReturn without instance_status")
  end
  return reply.instance_status.instance_id
end

function Client:close_instance(id)
  return self:call("cmd_close_instance", { instance_id = id })
end

local function try_event(self, req, config, phase)
  local id, err = instances.get(self, config)
  if not id then
    return nil, err
  end
  return self:call("cmd_handle_event", { instance_id = id, event_name = phase }, req)
end

-- Raises what is the client's 500 in Kong. What Kong takes for a lost server it sends again, without
-- an end, also when the client has left.
function Client:handle_event(req, config, phase)
  while true do
    local reply, err = try_event(self, req, config, phase)
    if reply then
      return
    end
    local lowered = err:lower()
    if not lowered:find("no plugin instance", 1, true) and not lowered:find("closed", 1, true) then
      error("pluginserver error: " .. err, 0)
    end
    ngx.log(ngx.WARN, err, ", trying again")
    instances.reset()
  end
end

return { new = new }
