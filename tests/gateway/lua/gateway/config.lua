-- A plugin's configurations: one for each route, out of a JSON file that may change at any time,
-- read again at each request. A changed text is a new configuration load, with a new __seq__, as
-- after Kong's POST /config. What the file leaves out comes from the schema's defaults, else it is
-- null: Kong fills a configuration in before a plugin server sees it.
--
-- The file config.json is for all requests; config.NAME.json, where it is there, for those of the
-- path /route/NAME.

local cjson = require "cjson"

local Configuration = {}
Configuration.__index = Configuration

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

local function config_record(plugin)
  for _, entry in ipairs(plugin.schema.fields or {}) do
    if entry.config then
      return entry.config
    end
  end
  return {}
end

function Configuration:load(route, text)
  local ok, given = pcall(cjson.decode, text)
  if not ok or type(given) ~= "table" then
    return nil, ("%s is not a JSON object: %s"):format(route.path, ok and text or given)
  end
  seq = seq + 1
  local plugin = self.plugin
  local config = fill_in(config_record(plugin), given)
  config.__key__ = ("plugins:%s::::"):format(plugin.name)
  config.__seq__ = seq
  config.__plugin_id = route.plugin_id
  config.__ws_id = plugin.workspace_id
  return config
end

-- nil when there is no file of that name.
function Configuration:route_of(name)
  local route = self.routes[name]
  if not route then
    local path = name == "" and self.base or self.base:gsub("%.json$", "." .. name .. ".json")
    if not read_file(path) then
      return nil
    end
    local id = self.plugin.id
    route = { path = path,
      plugin_id = name == "" and id or id:sub(1, -9) .. ("%08x"):format(ngx.crc32_short(name)) }
    self.routes[name] = route
  end
  return route
end

-- Of one plugin (dump.lua). Raises when the file cannot be read at the start.
local function new(file, plugin)
  -- routes: by NAME, "" for all others: { path = …, text = …, config = …, plugin_id = … }
  local self = setmetatable({ base = file, plugin = plugin, routes = {} }, Configuration)
  local text = assert(read_file(file))
  local route = self:route_of("")
  route.text, route.config = text, assert(self:load(route, text))
  return self
end

-- The configuration of a request as it is now. A file that is gone or broken leaves the last one in
-- force, and a line in the log.
function Configuration:now(uri)
  local name = uri:match("^/route/(%w+)")
  local route = name and self:route_of(name) or self:route_of("")
  local text, err = read_file(route.path)
  if text and text == route.text then
    return route.config
  end
  local config
  if text then
    route.text = text
    config, err = self:load(route, text)
  end
  if config then
    route.config = config
  else
    ngx.log(ngx.ERR, "configuration kept as it was: ", err)
  end
  return route.config
end

return { new = new }
