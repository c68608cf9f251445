-- What a plugin server says of itself: its binary runs with --dump before nginx forks its workers,
-- as Kong runs a server's query_cmd. All of stdout must be one JSON text; stderr and the exit status
-- do not matter.

local cjson = require "cjson"

local M = {}

local KNOWN_PHASES = {
  certificate = true, rewrite = true, access = true, response = true, preread = true,
  header_filter = true, body_filter = true, log = true,
}
local PROTOCOLS = { ["MsgPack:1"] = true, ["ProtoBuf:1"] = true }

local function run(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

-- Raises, so that nginx does not start, on everything that keeps Kong from starting.
function M.load(command)
  local text = run(command)
  local ok, dump = pcall(cjson.decode, text)
  if not ok or type(dump) ~= "table" then
    error(("%s: stdout is not one JSON text (%s): %s"):format(command, tostring(dump), text))
  end
  local plugin = type(dump.Plugins) == "table" and dump.Plugins[1]
  if not plugin then
    error(command .. ": no plugin in it")
  end
  if type(plugin.Name) ~= "string" then
    error(command .. ": Name missing")
  elseif type(plugin.Version) ~= "string" or not plugin.Version:find("^%d+%.%d+") then
    error(command .. ": Version missing, or not of the form x.y.z")
  elseif type(plugin.Priority) ~= "number" then
    error(command .. ": Priority missing")
  elseif type(plugin.Schema) ~= "table" or type(plugin.Schema.name) ~= "string" then
    error(command .. ": Schema or its name missing")
  end

  local phases = {}
  for _, phase in ipairs(plugin.Phases or {}) do
    phases[phase] = KNOWN_PHASES[phase] -- an unknown one is ignored
  end
  if phases.response and (phases.header_filter or phases.body_filter) then
    error(command .. ": response together with header_filter or body_filter")
  end
  return {
    name = plugin.Name,
    version = plugin.Version,
    priority = plugin.Priority,
    schema = plugin.Schema,
    phases = phases,
    protocol = dump.Protocol or "MsgPack:1",
    protocol_known = PROTOCOLS[dump.Protocol or "MsgPack:1"] or false,
  }
end

return M
