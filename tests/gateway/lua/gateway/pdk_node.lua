-- The rest of the PDK: kong.log.*, kong.ctx.shared.*, kong.nginx.*, kong.node.*, kong.ip.*, and what
-- names the gateway.

local cjson = require "cjson"
local pdk = require "gateway.pdk"

local define, LIVE, ANY = pdk.define, pdk.LIVE, pdk.ANY

local function log(level)
  return function(req, ...)
    local parts = {}
    for i = 1, select("#", ...) do
      parts[i] = tostring((select(i, ...)))
    end
    ngx.log(level, "[", req.plugin.name, "] ", table.concat(parts))
  end
end

for name, level in pairs {
  alert = ngx.ALERT, crit = ngx.CRIT, err = ngx.ERR, warn = ngx.WARN, notice = ngx.NOTICE,
  info = ngx.INFO, debug = ngx.DEBUG,
} do
  define("kong.log." .. name, ANY, log(level))
end
define("kong.log", ANY, log(ngx.NOTICE))
define("kong.log.set_serialize_value", ANY, function(req, key, value)
  req.serialize_values[key] = value
end)

-- What kong.log.serialize tells of a request. Called in log_by_lua too, for the timer.
local function serialize(req)
  local record = {
    client_ip = ngx.var.remote_addr,
    started_at = math.floor(req.start_time * 1000),
    request = {
      method = ngx.req.get_method(), uri = ngx.var.request_uri,
      headers = pdk.call(req, "kong.request.get_headers", { n = 0 }),
    },
    response = { status = ngx.status },
    latencies = { request = math.floor((ngx.now() - req.start_time) * 1000) },
  }
  for key, value in pairs(req.serialize_values) do
    record[key] = value
  end
  return cjson.encode(record)
end

define("kong.log.serialize", pdk.LOG, serialize, function(req)
  return req.saved.serialized
end)

define("kong.ctx.shared.set", ANY, function(req, key, value)
  req.shared[key] = value
end)
define("kong.ctx.shared.get", ANY, function(req, key)
  return req.shared[key]
end)

define("kong.nginx.get_var", LIVE, function(_, name)
  return ngx.var[name]
end)
define("kong.nginx.get_tls1_version_str", ANY, function() end)

-- Kong keeps who was authenticated in ngx.ctx.
local IDENTITY = { authenticated_consumer = "consumer", authenticated_credential = "credential" }
define("kong.nginx.set_ctx", ANY, function(req, key, value)
  if IDENTITY[key] then
    req[IDENTITY[key]] = value
  else
    req.nginx_ctx[key] = value
  end
end)
define("kong.nginx.get_ctx", ANY, function(req, key)
  if IDENTITY[key] then
    return req[IDENTITY[key]]
  elseif req.service_response and key == "buffered_status" then
    return req.service_response.status
  elseif req.service_response and key == "buffered_proxying" then
    return true
  end
  return req.nginx_ctx[key]
end)
define("kong.nginx.req_start_time", ANY, function(req)
  return req.start_time
end)
define("kong.nginx.get_subsystem", ANY, function()
  return "http"
end)

define("kong.node.get_id", ANY, function(req)
  return req.gateway.node_id
end)
define("kong.node.get_hostname", ANY, function()
  return ngx.var.hostname
end)
define("kong.cluster.get_id", ANY, function() end) -- without a database there is none
define("kong.plugin.get_id", ANY, function(req)
  return req.plugin.id
end)
define("kong.node.get_memory_stats", ANY, function()
  local dict = ngx.shared.gateway
  local stats = {
    capacity = dict:capacity(), allocated_slabs = dict:capacity() - dict:free_space(),
  }
  return {
    lua_shared_dicts = { kong = stats, kong_db_cache = stats },
    workers_lua_vms = {
      { http_allocated_gc = math.floor(collectgarbage("count") * 1024), pid = ngx.worker.pid() },
    },
  }
end)
define("kong.ip.is_trusted", ANY, function(_, address)
  pdk.check(type(address) == "string", "ip must be a string")
  return false
end)

return { serialize = serialize }
