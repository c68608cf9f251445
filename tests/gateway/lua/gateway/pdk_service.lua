-- kong.service.*, kong.service.request.* and kong.router.*: the request to the upstream.

local cjson = require "cjson"
local pdk = require "gateway.pdk"

local define, REQUEST, ACCESS = pdk.define, pdk.REQUEST, pdk.ACCESS

local METHODS = {}
for _, name in ipairs {
  "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "MKCOL", "COPY", "MOVE", "PROPFIND",
  "PROPPATCH", "LOCK", "UNLOCK", "PATCH", "TRACE",
} do
  METHODS[name] = ngx["HTTP_" .. name]
end

define("kong.service.set_upstream", ACCESS, function(_, name)
  return nil, "could not find an Upstream named '" .. tostring(name) .. "'"
end)
define("kong.service.set_target", ACCESS, function(req, host, port)
  pdk.check(type(host) == "string" and host ~= "", "host must be a string")
  pdk.check(type(port) == "number" and port >= 0 and port <= 65535, "port must be a port number")
  req.upstream.address = host .. ":" .. port
end)

define("kong.service.request.set_scheme", REQUEST, function(req, scheme)
  pdk.check(scheme == "http" or scheme == "https", "invalid scheme: " .. tostring(scheme))
  req.upstream.scheme = scheme
end)
define("kong.service.request.set_path", REQUEST, function(req, path)
  pdk.check(type(path) == "string" and path:sub(1, 1) == "/", "path must start with /")
  req.upstream.path = ngx.re.gsub(path, "[^!#$&'()*+,/:;=?@[\\]A-Z\\d\\-_.~%]", function(char)
    return ("%%%02X"):format(char[0]:byte())
  end, "joi")
end)
define("kong.service.request.set_raw_query", REQUEST, function(_, query)
  pdk.check(type(query) == "string", "query must be a string")
  ngx.req.set_uri_args(query)
end)
define("kong.service.request.set_query", REQUEST, function(_, args)
  pdk.check(type(args) == "table", "args must be a table")
  ngx.req.set_uri_args(args)
end)
define("kong.service.request.clear_query_arg", REQUEST, function(_, name)
  local args = ngx.req.get_uri_args()
  args[name] = nil
  for key, value in pairs(args) do
    args[key] = value == true and "" or value -- "flag" becomes "flag="
  end
  ngx.req.set_uri_args(args)
end)
define("kong.service.request.set_method", REQUEST, function(_, method)
  ngx.req.set_method(METHODS[method] or error("invalid method: " .. tostring(method), 0))
end)

local function set_header(req, name, value)
  pdk.check_header_name(name)
  value = pdk.header_value(name, value)
  if name:lower() == "host" then
    req.upstream.host = pdk.first(value)
  else
    ngx.req.set_header(name, value)
  end
end

define("kong.service.request.set_header", REQUEST, set_header)
define("kong.service.request.add_header", REQUEST, function(req, name, value)
  pdk.check_header_name(name)
  local values = ngx.req.get_headers()[name]
  if type(values) ~= "table" then
    values = { values }
  end
  values[#values + 1] = pdk.header_value(name, value)
  set_header(req, name, values)
end)
define("kong.service.request.clear_header", REQUEST, function(_, name)
  pdk.check_header_name(name)
  ngx.req.clear_header(name)
end)
define("kong.service.request.set_headers", REQUEST, function(req, headers)
  pdk.check(type(headers) == "table", "headers must be a table")
  for name, value in pairs(headers) do
    set_header(req, name, value)
  end
end)

define("kong.service.request.set_raw_body", REQUEST, function(_, body)
  pdk.check(type(body) == "string", "body must be a string")
  ngx.req.read_body()
  ngx.req.set_body_data(body)
end)
define("kong.service.request.set_body", REQUEST, function(_, args, mimetype)
  pdk.check(type(args) == "table", "args must be a table")
  ngx.req.read_body()
  if mimetype == "application/json" then
    ngx.req.set_body_data(cjson.encode(args))
  else
    mimetype = "application/x-www-form-urlencoded"
    ngx.req.set_body_data(ngx.encode_args(args))
  end
  ngx.req.set_header("Content-Type", mimetype)
end)
define("kong.service.request.enable_buffering", REQUEST, function(req)
  req.buffered = true
end)

-- One service, one route: all there is.
define("kong.router.get_service", pdk.KNOWN_CLIENT, function(req)
  local host, port = req.gateway.upstream:match("^(.*):(%d+)$")
  return {
    id = req.gateway.service_id, name = "upstream", protocol = "http", host = host,
    port = tonumber(port), retries = 0, connect_timeout = 60000, write_timeout = 60000,
    read_timeout = 60000, created_at = req.gateway.started, updated_at = req.gateway.started,
    enabled = true,
  }
end)
define("kong.router.get_route", pdk.KNOWN_CLIENT, function(req)
  return {
    id = req.gateway.route_id, name = "everything", protocols = { "http" }, paths = { "/" },
    strip_path = false, preserve_host = false, regex_priority = 0,
    https_redirect_status_code = 426, created_at = req.gateway.started,
    updated_at = req.gateway.started, service = { id = req.gateway.service_id },
  }
end)
