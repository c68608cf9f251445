-- kong.response.* and kong.service.response.*: what goes to the client, and what came from upstream.

local cjson = require "cjson"
local add_header = require("ngx.resp").add_header
local pdk = require "gateway.pdk"

local define = pdk.define
local HEADER, RESPONSE, BUFFERED = pdk.HEADER, pdk.RESPONSE, pdk.BUFFERED

local M = {}

local function check_unsent()
  pdk.check(not ngx.headers_sent, "headers have already been sent")
end

local function set_header(name, value)
  if name:lower():gsub("_", "-") == "transfer-encoding" then
    ngx.log(ngx.WARN, "manually setting Transfer-Encoding. Ignored.")
    return
  end
  ngx.header[name] = value
end

local function checked_headers(headers)
  pdk.check(type(headers) == "table", "headers must be a table")
  local checked = {}
  for name, value in pairs(headers) do
    pdk.check_header_name(name)
    checked[name] = pdk.header_value(name, value)
  end
  return checked
end

define("kong.response.set_status", HEADER, function(_, status)
  check_unsent()
  pdk.check(type(status) == "number" and status >= 100 and status <= 599,
    "code must be a number between 100 and 599")
  ngx.status = status
end)
define("kong.response.set_header", HEADER, function(_, name, value)
  check_unsent()
  pdk.check_header_name(name)
  set_header(name, pdk.header_value(name, value))
end)
define("kong.response.add_header", HEADER, function(_, name, value)
  check_unsent()
  pdk.check_header_name(name)
  add_header(name, pdk.header_value(name, value))
end)
define("kong.response.clear_header", HEADER, function(_, name)
  check_unsent()
  pdk.check_header_name(name)
  ngx.header[name] = nil
end)
define("kong.response.set_headers", HEADER, function(_, headers)
  check_unsent()
  for name, value in pairs(checked_headers(headers)) do
    set_header(name, value)
  end
end)

-- Sends the whole answer and ends the request: does not return.
local function send(status, body, headers)
  ngx.status = status
  for name, value in pairs(headers) do
    set_header(name, value)
  end
  if type(body) == "table" then
    body = cjson.encode(body)
    ngx.header["Content-Type"] = "application/json; charset=utf-8"
  end
  ngx.header["Content-Length"] = #(body or "")
  if body and body ~= "" then
    ngx.print(body)
  else
    ngx.send_headers()
  end
  ngx.exit(ngx.HTTP_OK)
end

define("kong.response.exit", HEADER, function(req, status, body, headers)
  check_unsent()
  pdk.check(type(status) == "number" and status >= 100 and status <= 599,
    "code must be a number between 100 and 599")
  local kind = type(body)
  pdk.check(body == nil or kind == "string" or kind == "table",
    "body must be a nil, string or table")
  local checked = headers == nil and {} or checked_headers(headers)
  req.exited = true
  if req.phase == "header_filter" then
    pdk.check(body == nil, "body not allowed in header_filter")
    ngx.status = status
    return
  end
  send(status, body, checked)
end)

-- The answer to a request that a plugin has failed.
function M.send_error(req, status, text)
  req.exited = true
  if ngx.headers_sent then
    ngx.exit(ngx.ERROR)
  end
  send(status, { message = text }, {})
end
define("kong.response.error", HEADER, function(req, status, text)
  pdk.check(type(status) == "number" and status >= 400 and status <= 599,
    "code must be a number between 400 and 599")
  M.send_error(req, status, text or "An unexpected error occurred")
end)

local function live_headers(max)
  if max ~= nil then
    pdk.check_max(max)
  end
  local headers = {}
  for name, value in pairs(ngx.resp.get_headers(max)) do
    headers[name] = value
  end
  return headers
end

define("kong.response.get_status", RESPONSE, function()
  return ngx.status
end, function(req)
  return req.saved.response_status
end)
define("kong.response.get_headers", RESPONSE, function(_, max)
  return live_headers(max)
end, function(req)
  return req.saved.response_headers
end)
define("kong.response.get_header", RESPONSE, function(_, name)
  pdk.check_header_name(name)
  return pdk.first(ngx.resp.get_headers()[name])
end, function(req, name)
  return pdk.first(req.saved.response_headers[name:lower()])
end)
define("kong.response.get_source", RESPONSE, function(req)
  if req.exited then
    return "exit"
  end
  return req.answered and "service" or "error"
end)
define("kong.response.get_raw_body", pdk.BODY, function(req)
  return req.response_body
end)
define("kong.response.set_raw_body", pdk.BODY, function(req, body)
  pdk.check(type(body) == "string", "body must be a string")
  req.response_body = body
end)

-- In the log phase there is what was buffered, and nothing else.
local function only_buffered(req)
  return req.service_response or error("API disabled in the context of ngx.timer", 0)
end

define("kong.service.response.get_status", RESPONSE, function(req)
  return req.service_response and req.service_response.status or tonumber(ngx.var.upstream_status)
end, function(req)
  return only_buffered(req).status
end)
-- Kong 3.9 gives an empty table here whatever came; so a plugin must do without.
define("kong.service.response.get_headers", RESPONSE, function()
  return {}
end, function(req)
  only_buffered(req)
  return {}
end)
define("kong.service.response.get_header", RESPONSE, function(req, name)
  pdk.check_header_name(name)
  local headers = req.service_response and req.service_response.headers
  return pdk.first(headers and headers[name] or ngx.resp.get_headers()[name])
end, function(req, name)
  return pdk.first(only_buffered(req).headers[name])
end)
define("kong.service.response.get_raw_body", BUFFERED, function(req)
  return only_buffered(req).body
end)
define("kong.service.response.get_body", BUFFERED, function(req)
  local ok, value = pcall(cjson.decode, only_buffered(req).body)
  if not ok then
    return nil, "invalid json body"
  end
  return value
end)

return M
