-- The plugin's configurations: one for each route, out of a JSON file that may change at any time,
-- read again at each request. A changed text is a new configuration load, with a new __seq__, as
-- after Kong's POST /config. What the file leaves out comes from the schema's defaults, else it is
-- null: Kong fills a configuration in before a plugin server sees it.
--
-- The file config.json is for all requests; config.NAME.json, where it is there, for those of the
-- path /route/NAME.

local cjson = require "cjson"

local M = {}

local base, plugin
local routes = {} -- by NAME, "" for all others: { path = …, text = …, config = …, plugin_id = … }
local seq = 0

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then
    return nil, "cannot open " .. path
  end
  local text = file:read("*a")
  file:close()
  return text
end

-- A schema lists fields as { {name = {…}}, … }.
local function fill_in(record, given)
  local filled = {}
  for _, entry in ipairs(record.fields or {}) do
    local name, field = next(entry)
    local value = given[name]
    if value == nil or value == cjson.null then
      value = field.default
    end
    if field.type == "record" and (type(value) == "table" or field.required) then
      value = fill_in(field, type(value) == "table" and value or {})
    end
    if value == nil then
      value = cjson.null
    end
    filled[name] = value
  end
  for name, value in pairs(given) do
    if filled[name] == nil then
      filled[name] = value -- unknown to the schema: for the server to refuse
    end
  end
  return filled
end

local function config_record()
  for _, entry in ipairs(plugin.schema.fields or {}) do
    if entry.config then
      return entry.config
    end
  end
  return {}
end

local function load(route, text)
  local ok, given = pcall(cjson.decode, text)
  if not ok or type(given) ~= "table" then
    return nil, ("%s is not a JSON object: %s"):format(route.path, ok and text or given)
  end
  seq = seq + 1
  local config = fill_in(config_record(), given)
  config.__key__ = ("plugins:%s::::"):format(plugin.name)
  config.__seq__ = seq
  config.__plugin_id = route.plugin_id
  config.__ws_id = plugin.workspace_id
  return config
end

local function plugin_id(name)
  return name == "" and plugin.id or plugin.id:sub(1, -9) .. ("%08x"):format(ngx.crc32_short(name))
end

-- nil when there is no file of that name.
local function route_of(name)
  local route = routes[name]
  if not route then
    local path = name == "" and base or base:gsub("%.json$", "." .. name .. ".json")
    if not read_file(path) then
      return nil
    end
    route = { path = path, plugin_id = plugin_id(name) }
    routes[name] = route
  end
  return route
end

-- Raises when the file cannot be read at the start.
function M.init(file, described_plugin)
  base, plugin = file, described_plugin
  local text = assert(read_file(base))
  local route = route_of("")
  route.text, route.config = text, assert(load(route, text))
end

-- The configuration of a request as it is now. A file that is gone or broken leaves the last one in
-- force, and a line in the log.
function M.now(uri)
  local name = uri:match("^/route/(%w+)")
  local route = name and route_of(name) or route_of("")
  local text, err = read_file(route.path)
  if text and text == route.text then
    return route.config
  end
  local config
  if text then
    route.text = text
    config, err = load(route, text)
  end
  if config then
    route.config = config
  else
    ngx.log(ngx.ERR, "configuration kept as it was: ", err)
  end
  return route.config
end

return M
