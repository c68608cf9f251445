-- The gateway: nginx's phases, in each of which an event of each plugin runs whose dump names the
-- phase. It plays Kong's part for the plugins of one server; configurations may differ by route
-- (config.lua).

local dump = require "gateway.dump"
local configuration = require "gateway.config"
local pdk = require "gateway.pdk"
require "gateway.pdk_request"
require "gateway.pdk_service"
local response = require "gateway.pdk_response"
local node = require "gateway.pdk_node"

local M = {}

local gateway = {}

local function uuid()
  local hex = {}
  for i = 1, 32 do
    hex[i] = ("%x"):format(math.random(0, 15))
  end
  local text = table.concat(hex)
  return ("%s-%s-4%s-a%s-%s"):format(text:sub(1, 8), text:sub(9, 12), text:sub(13, 15),
    text:sub(16, 18), text:sub(19, 30))
end

local function add_plugin(command, options)
  local plugin = dump.load(command)
  plugin.socket = options.socket
  plugin.id, plugin.workspace_id = uuid(), gateway.workspace_id
  plugin.configuration = configuration.new(options.config, plugin)
  if plugin.protocol_known then
    local module = plugin.protocol == "ProtoBuf:1" and "protobuf_client" or "msgpack_client"
    plugin.client = require("gateway." .. module).new(plugin)
  end
  table.insert(gateway.plugins, plugin)
  for phase in pairs(plugin.phases) do
    gateway.phases[phase] = true
  end
end

-- Kong's order.
local function runs_before(a, b)
  if a.priority == b.priority then
    return a.name > b.name
  end
  return a.priority > b.priority
end

-- Before the workers are forked. options: query_cmd (a line for each plugin), socket, config (a
-- file), upstream (host:port). What raises here keeps nginx from starting.
function M.init(options)
  math.randomseed(ngx.time() + ngx.worker.pid())
  gateway = {
    plugins = {}, phases = {}, upstream = options.upstream, started = ngx.time(),
    node_id = uuid(), service_id = uuid(), route_id = uuid(), workspace_id = uuid(),
  }
  for command in options.query_cmd:gmatch("[^\n]+") do
    add_plugin(command, options)
  end
  table.sort(gateway.plugins, runs_before)
end

local function new_request()
  local configs = {}
  for _, plugin in ipairs(gateway.plugins) do
    configs[plugin] = plugin.configuration:now(ngx.var.uri)
  end
  return {
    gateway = gateway, start_time = ngx.req.start_time(), shared = {}, nginx_ctx = {},
    serialize_values = {}, configs = configs,
    upstream = { scheme = "http", address = gateway.upstream, host = gateway.upstream,
      path = (ngx.var.request_uri:match("^[^?]*")) },
  }
end

local function request()
  local ctx = ngx.ctx
  if not ctx.gateway_request then
    ctx.gateway_request = new_request()
  end
  return ctx.gateway_request
end

local function handle_event(req, plugin, phase)
  req.phase, req.plugin = phase, plugin
  if not plugin.phases[phase] then
    return true
  end
  if not plugin.client then
    return nil, "protocol not known: " .. plugin.protocol
  end
  return xpcall(plugin.client.handle_event, function(err)
    return tostring(err)
  end, plugin.client, req, req.configs[plugin], phase)
end

-- A failed event is the client's 500, and the other plugins' events do not run: send_error does not
-- return.
local function run(req, phase)
  for _, plugin in ipairs(gateway.plugins) do
    local ok, err = handle_event(req, plugin, phase)
    if not ok then
      ngx.log(ngx.ERR, "[", plugin.name, "] ", err)
      response.send_error(req, 500, "An unexpected error occurred")
    end
  end
end

function M.rewrite()
  run(request(), "rewrite")
end

local HOP_BY_HOP = {
  connection = true, ["keep-alive"] = true, ["transfer-encoding"] = true, upgrade = true,
  te = true, trailer = true, ["proxy-authenticate"] = true, ["content-length"] = true,
}

-- The upstream's whole response is fetched, the plugin sees it, then it goes out: what Kong does when
-- a plugin has a response phase. Does not return.
local function proxy_buffered(req)
  ngx.req.read_body()
  local result = ngx.location.capture("/gateway-buffered", {
    method = ngx["HTTP_" .. ngx.req.get_method()],
    always_forward_body = true,
    share_all_vars = true,
    ctx = ngx.ctx,
  })
  local head = ngx.req.get_method() == "HEAD"
  if result.truncated and not head then
    response.send_error(req, 502, "An invalid response was received from the upstream server")
  end
  ngx.status = result.status
  for name, value in pairs(result.header) do
    if not HOP_BY_HOP[name:lower()] then
      ngx.header[name] = value
    end
  end
  req.service_response =
    { status = result.status, headers = result.header, body = result.body }
  req.response_body = result.body
  if req.answered then -- not for nginx's own 502 and 504
    run(req, "response")
  end
  if head then
    ngx.header["Content-Length"] = result.header["Content-Length"]
    ngx.send_headers()
  else
    ngx.header["Content-Length"] = #req.response_body
    ngx.print(req.response_body)
  end
  ngx.exit(ngx.HTTP_OK)
end

function M.access()
  local req = request()
  -- Kong's router runs now: what a plugin has set in rewrite is lost
  req.upstream.scheme, req.upstream.path = "http", ngx.var.request_uri:match("^[^?]*")
  run(req, "access")
  local upstream, args = req.upstream, ngx.var.args
  ngx.var.upstream_scheme = upstream.scheme
  ngx.var.upstream_address = upstream.address
  ngx.var.upstream_host = upstream.host
  ngx.var.upstream_uri = upstream.path .. (args and args ~= "" and "?" .. args or "")
  if gateway.phases.response or req.buffered then
    proxy_buffered(req)
  end
end

-- Also for the subrequest of proxy_buffered, which shares the context.
function M.upstream_answered()
  local received = ngx.var.upstream_header_time
  request().answered = received ~= nil and received ~= "-"
end

-- No Kong up to 3.9 can call out of its process here: the event's socket raises, and the response is
-- destroyed. So it is in this gateway.
function M.header_filter()
  local req = request()
  if not req.service_response and not req.exited then
    M.upstream_answered()
  end
  for _, plugin in ipairs(gateway.plugins) do
    local ok, err = handle_event(req, plugin, "header_filter")
    if not ok then
      error(err, 0)
    end
  end
end

-- The log phase runs later, on saved data.
function M.log()
  if not gateway.phases.log then
    return
  end
  local req = request()
  req.phase = "log"
  local no_args = { n = 0 }
  local saved = {
    serialized = node.serialize(req),
    request_headers = pdk.call(req, "kong.request.get_headers", no_args),
    response_headers = pdk.call(req, "kong.response.get_headers", no_args),
    response_status = ngx.status,
  }
  assert(ngx.timer.at(0, function(premature)
    if premature then
      return
    end
    req.saved = saved
    for _, plugin in ipairs(gateway.plugins) do
      local ok, err = handle_event(req, plugin, "log")
      if not ok then
        ngx.log(ngx.ERR, "[", plugin.name, "] ", err)
      end
    end
  end))
end

return M
