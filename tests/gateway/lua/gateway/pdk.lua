-- The PDK: functions under kong. that a plugin server may call, carried out on ngx.*. The modules
-- pdk_*.lua register theirs here. Each takes the request first; req is a plain table:
--   phase              the phase that runs, by Kong's name
--   saved              set in the log phase only: it runs in a timer, on saved data
--   shared, nginx_ctx  tables of kong.ctx.shared and kong.nginx.*_ctx
--   upstream           scheme, address, path, host (the Host header) of the upstream request
--   service_response   status, headers, body: in the response phase only
--   response_body      what kong.response.set_raw_body left
--   exited             kong.response.exit was called

local M = {}

local functions = {}

-- Names of phases in sets, as the functions' documentation lists them.
local function phases(...)
  local set, names = {}, { ... }
  for _, name in ipairs(names) do
    set[name] = true
  end
  set.names = table.concat(names, ", ")
  return set
end

M.REQUEST = phases("rewrite", "access") -- the request can still be changed
M.HEADER = phases("rewrite", "access", "response", "header_filter")
M.RESPONSE = phases("response", "header_filter", "body_filter", "log")
M.ROUTED = phases("access", "response", "header_filter", "body_filter")
M.ACCESS = phases("access")
M.BUFFERED = phases("response", "log")
M.BODY = phases("body_filter") -- never called out of process
M.LOG = phases("log")
M.LIVE = phases("rewrite", "access", "response", "header_filter", "body_filter")
M.KNOWN_CLIENT = phases("access", "response", "header_filter", "body_filter", "log")
M.ANY = phases("rewrite", "access", "response", "header_filter", "body_filter", "log")

-- for_log: what runs instead in the log phase, on req.saved.
function M.define(name, allowed, fn, for_log)
  functions[name] = { allowed = allowed, fn = fn, for_log = for_log }
end

function M.known(name)
  return functions[name] ~= nil
end

-- Calls it with args[1 … args.n] and returns what it returns. Raises in a phase that does not allow
-- it, for wrong arguments, and for a name that does not exist.
function M.call(req, name, args)
  local entry = functions[name] or error(name .. " is no PDK function of this gateway", 0)
  if not entry.allowed[req.phase] then
    error(("%s cannot be called in %s phase (only in: %s)"):format(name, req.phase,
      entry.allowed.names), 0)
  end
  local fn = req.saved and entry.for_log or entry.fn
  return fn(req, unpack(args, 1, args.n))
end

-- --- What the modules share

function M.check(ok, text)
  if not ok then
    error(text, 0)
  end
end

function M.check_header_name(name)
  M.check(type(name) == "string", "header name must be a string")
  M.check(name ~= "", "header name must not be empty")
end

local SCALAR = { string = true, number = true, boolean = true }

-- A header's value as ngx takes it: a string, or a list of strings.
function M.header_value(name, value)
  if type(value) == "table" then
    local list = {}
    for i, item in ipairs(value) do
      list[i] = M.header_value(name, item)
    end
    return list
  end
  M.check(SCALAR[type(value)],
    ("invalid value for %q: got %s, expected string, number or boolean"):format(name, type(value)))
  return tostring(value)
end

function M.check_max(max)
  M.check(type(max) == "number" and max >= 1 and max <= 1000,
    "maximum must be a number from 1 to 1000")
end

function M.first(value)
  if type(value) == "table" then
    return value[1]
  end
  return value
end

return M
