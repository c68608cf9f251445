-- kong.request.* and kong.client.*: what came from the client. No address is trusted, so the
-- forwarded values are the direct ones.

local cjson = require "cjson"
local pdk = require "gateway.pdk"

local define, LIVE, ANY = pdk.define, pdk.LIVE, pdk.ANY
local ACCESS, KNOWN_CLIENT = pdk.ACCESS, pdk.KNOWN_CLIENT

local function raw_path()
  return (ngx.var.request_uri:match("^[^?]*"))
end

for _, name in ipairs { "get_scheme", "get_forwarded_scheme" } do
  define("kong.request." .. name, LIVE, function()
    return ngx.var.scheme
  end)
end
for _, name in ipairs { "get_host", "get_forwarded_host" } do
  define("kong.request." .. name, LIVE, function()
    return ngx.var.host
  end)
end
for _, name in ipairs {
  "kong.request.get_port", "kong.request.get_forwarded_port", "kong.client.get_forwarded_port",
} do
  define(name, LIVE, function()
    return tonumber(ngx.var.server_port)
  end)
end
define("kong.request.get_http_version", LIVE, function()
  return ngx.req.http_version()
end)
define("kong.request.get_method", LIVE, function()
  return ngx.req.get_method()
end)
for _, name in ipairs { "get_path", "get_raw_path", "get_forwarded_path" } do
  define("kong.request." .. name, LIVE, raw_path)
end
define("kong.request.get_forwarded_prefix", LIVE, function() end)
define("kong.request.get_path_with_query", LIVE, function()
  return ngx.var.request_uri
end)
define("kong.request.get_raw_query", LIVE, function()
  return ngx.var.args or ""
end)
define("kong.request.get_start_time", ANY, function(req)
  return math.floor(req.start_time * 1000)
end)

define("kong.request.get_query", LIVE, function(_, max)
  if max ~= nil then
    pdk.check_max(max)
  end
  return ngx.req.get_uri_args(max)
end)
define("kong.request.get_query_arg", LIVE, function(_, name)
  pdk.check(type(name) == "string", "query argument name must be a string")
  return pdk.first(ngx.req.get_uri_args()[name])
end)

define("kong.request.get_headers", ANY, function(_, max)
  if max ~= nil then
    pdk.check_max(max)
  end
  local headers = {}
  for name, value in pairs(ngx.req.get_headers(max)) do
    headers[name] = value
  end
  return headers
end, function(req)
  return req.saved.request_headers
end)
define("kong.request.get_header", ANY, function(_, name)
  pdk.check_header_name(name)
  return pdk.first(ngx.req.get_headers()[name])
end, function(req, name)
  local headers, lower = req.saved.request_headers, name:lower()
  return pdk.first(headers[name] or headers[lower] or headers[lower:gsub("_", "-")])
end)

-- At most `most` bytes of a file; 0: any.
local function read_file(path, most)
  local file = assert(io.open(path, "rb"))
  local size = file:seek("end")
  if most > 0 and size > most then
    file:close()
    return nil, ("request body file too big: %d > %d"):format(size, most)
  end
  file:seek("set")
  local body = file:read("*a")
  file:close()
  return body
end

-- "" for a request without a body. One that nginx keeps in a file is read where the caller says how
-- large it may be (0: any size), as by Kong later than 2.8; nil otherwise.
local function raw_body(_, most)
  ngx.req.read_body()
  local body, path = ngx.req.get_body_data(), ngx.req.get_body_file()
  if not body and path then
    if not most or most < 0 then
      return nil, "request body did not fit into client body buffer"
    end
    return read_file(path, most)
  end
  return body or ""
end

define("kong.request.get_raw_body", LIVE, raw_body)
define("kong.request.get_body", LIVE, function()
  local content_type = (ngx.var.http_content_type or ""):lower()
  local body, err = raw_body()
  if not body then
    return nil, err
  elseif content_type:find("application/json", 1, true) then
    local ok, value = pcall(cjson.decode, body)
    if not ok then
      return nil, "invalid json body"
    end
    return value
  elseif content_type:find("application/x-www-form-urlencoded", 1, true) then
    return ngx.decode_args(body)
  end
  return nil, "unsupported content type '" .. content_type .. "'"
end)
define("kong.request.get_uri_captures", ANY, function()
  return { unnamed = {}, named = {} }
end)

for _, name in ipairs { "get_ip", "get_forwarded_ip" } do
  define("kong.client." .. name, LIVE, function()
    return ngx.var.remote_addr
  end)
end
define("kong.client.get_port", LIVE, function()
  return tonumber(ngx.var.remote_port)
end)
define("kong.client.get_protocol", pdk.ROUTED, function()
  return ngx.var.scheme
end)
define("kong.client.authenticate", ACCESS, function(req, consumer, credential)
  req.consumer, req.credential = consumer, credential
end)
define("kong.client.get_consumer", KNOWN_CLIENT, function(req)
  return req.consumer
end)
define("kong.client.get_credential", KNOWN_CLIENT, function(req)
  return req.credential
end)
-- The gateway has no database: nobody is in it.
define("kong.client.load_consumer", KNOWN_CLIENT, function(_, id)
  pdk.check(type(id) == "string" and id ~= "", "consumer_id must be a string")
end)
