-- A schema.lua as JSON. Kong's typedefs are stubbed with what they stand for in Kong; nothing else of Kong is there.
ngx = { null = setmetatable({}, { __tostring = function() return "null" end }) }
local function absent(reference)
  return { type = "foreign", reference = reference, eq = ngx.null }
end
package.preload["kong.db.schema.typedefs"] = function()
  return { no_consumer = absent("consumers"), no_route = absent("routes"), no_service = absent("services") }
end

local function quote(text)
  return '"' .. text:gsub('[%c"\\\127]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function encode(value)
  if value == ngx.null then
    return "null"
  elseif type(value) == "string" then
    return quote(value)
  elseif type(value) == "number" then
    return ("%.17g"):format(value)
  elseif type(value) ~= "table" then
    return tostring(value)
  end
  local parts = {}
  if #value > 0 or next(value) == nil then
    for i, item in ipairs(value) do
      parts[i] = encode(item)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, item in pairs(value) do
    parts[#parts + 1] = quote(key) .. ":" .. encode(item)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

print(encode(assert(loadfile(arg[1]))()))
