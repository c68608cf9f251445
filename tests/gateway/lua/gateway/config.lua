-- The plugin's configuration, out of a JSON file that may change at any time: read again at each
-- request. A changed text is a new configuration load, with a new __seq__, as after Kong's
-- POST /config. What the file leaves out comes from the schema's defaults, else it is null: Kong
-- fills a configuration in before a plugin server sees it.

local cjson = require "cjson"

local M = {}

local path, plugin
local current_text, current
local seq = 0

local function read_file()
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

local function load(text)
  local ok, given = pcall(cjson.decode, text)
  if not ok or type(given) ~= "table" then
    return nil, ("%s is not a JSON object: %s"):format(path, ok and text or given)
  end
  seq = seq + 1
  local config = fill_in(config_record(), given)
  config.__key__ = ("plugins:%s::::"):format(plugin.name)
  config.__seq__ = seq
  config.__plugin_id = plugin.id
  config.__ws_id = plugin.workspace_id
  return config
end

-- Raises when the file cannot be read at the start.
function M.init(file, described_plugin)
  path, plugin = file, described_plugin
  local text = assert(read_file())
  current_text, current = text, assert(load(text))
end

-- The configuration as it is now. A file that is gone or broken leaves the last one in force, and a
-- line in the log.
function M.now()
  local text, err = read_file()
  if text and text == current_text then
    return current
  end
  local config
  if text then
    current_text = text
    config, err = load(text)
  end
  if config then
    current = config
  else
    ngx.log(ngx.ERR, "configuration kept as it was: ", err)
  end
  return current
end

return M
