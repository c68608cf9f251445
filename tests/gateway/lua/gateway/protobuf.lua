-- Protocol Buffers on the wire, as far as the messages of ProtoBuf:1 need them: encode(message name,
-- table) gives bytes, decode(message name, bytes) gives a table. The messages are declared in
-- messages.lua, one line each.
--
-- Like Kong's encoder it writes every field that is present, also one that holds its type's default,
-- and in no particular order: a plugin server must take fields in any order.

local bit = require "bit"
local ffi = require "ffi"

local band, rshift, lshift = bit.band, bit.rshift, bit.lshift
local byte, char, sub = string.byte, string.char, string.sub

local VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

local messages = {}

local M = {}

local scalars = {
  int32 = { wire = VARINT, default = 0 },
  int64 = { wire = VARINT, default = 0 },
  bool = { wire = VARINT, default = false },
  double = { wire = FIXED64, default = 0 },
  string = { wire = BYTES, default = "" },
  bytes = { wire = BYTES, default = "" },
}

-- Declares a message: "name:type=number …". A type is a scalar's or a message's name; "[]type" is a
-- repeated field, "{}type" a map with string keys, "?type" a member of a oneof: absent means absent,
-- where another scalar reads as its default.
function M.message(name, fields)
  local message = { by_name = {}, by_number = {}, list = {} }
  for field_name, shape, type_name, number in
    fields:gmatch("([%w_]+):([%[%]{}?]*)([%w_]+)=(%d+)") do
    local field = {
      name = field_name,
      number = tonumber(number),
      type = type_name,
      repeated = shape == "[]",
      map = shape == "{}",
      oneof = shape == "?",
      scalar = scalars[type_name],
    }
    message.by_name[field_name] = field
    message.by_number[field.number] = field
    message.list[#message.list + 1] = field
  end
  messages[name] = message
end

-- value: a Lua number (a whole one, below 2^53) or an int64 cdata
local function put_varint(out, value)
  local n = ffi.cast("uint64_t", ffi.cast("int64_t", value))
  while n >= 0x80ULL do
    out[#out + 1] = char(tonumber(n % 0x80ULL) + 0x80)
    n = n / 0x80ULL
  end
  out[#out + 1] = char(tonumber(n))
end

local function put_bytes(out, bytes)
  put_varint(out, #bytes)
  out[#out + 1] = bytes
end

local double_box = ffi.new("double[1]") -- x86-64 and arm64 are both little-endian, as the wire is

local function put_scalar(out, type_name, value)
  if type_name == "double" then
    double_box[0] = value
    out[#out + 1] = ffi.string(double_box, 8)
  elseif type_name == "bool" then
    out[#out + 1] = value and "\1" or "\0"
  elseif type_name == "string" or type_name == "bytes" then
    put_bytes(out, tostring(value))
  else
    put_varint(out, value)
  end
end

local function put_field(out, field, value)
  local wire = field.scalar and field.scalar.wire or BYTES
  put_varint(out, field.number * 8 + wire)
  if field.scalar then
    put_scalar(out, field.type, value)
  else
    put_bytes(out, M.encode(field.type, value))
  end
end

local function put_map_entry(out, field, key, value)
  local entry = {}
  put_field(entry, { number = 1, type = "string", scalar = scalars.string }, key)
  put_field(entry, { number = 2, type = field.type, scalar = field.scalar }, value)
  put_varint(out, field.number * 8 + BYTES)
  put_bytes(out, table.concat(entry))
end

function M.encode(name, value)
  local message = messages[name] or error("no message " .. name)
  local out = {}
  for field_name, field_value in pairs(value) do
    local field = message.by_name[field_name]
    if field then
      if field.repeated then
        for _, item in ipairs(field_value) do
          put_field(out, field, item)
        end
      elseif field.map then
        for key, item in pairs(field_value) do
          put_map_entry(out, field, tostring(key), item)
        end
      else
        put_field(out, field, field_value)
      end
    end
  end
  return table.concat(out)
end

-- Both return the value and the position behind it; they raise on bytes that are cut off.
local function get_varint(bytes, at)
  local value, scale = 0ULL, 1ULL
  for _ = 1, 10 do
    local b = byte(bytes, at) or error("varint cut off")
    at = at + 1
    value = value + ffi.cast("uint64_t", band(b, 0x7f)) * scale
    if b < 0x80 then
      return value, at
    end
    scale = scale * 0x80ULL
  end
  error("varint too long")
end

local function get_bytes(bytes, at)
  local len
  len, at = get_varint(bytes, at)
  len = tonumber(len)
  if at + len - 1 > #bytes then
    error("field cut off")
  end
  return sub(bytes, at, at + len - 1), at + len
end

local function get_raw(bytes, at, wire)
  if wire == VARINT then
    return get_varint(bytes, at)
  elseif wire == BYTES then
    return get_bytes(bytes, at)
  end
  local len = wire == FIXED64 and 8 or wire == FIXED32 and 4 or error("wire type " .. wire)
  if at + len - 1 > #bytes then
    error("field cut off")
  end
  return sub(bytes, at, at + len - 1), at + len
end

local function from_raw(field, wire, raw)
  if wire ~= (field.scalar and field.scalar.wire or BYTES) then
    error(("field %s has wire type %d"):format(field.name, wire))
  end
  if not field.scalar then
    return M.decode(field.type, raw)
  elseif field.type == "bool" then
    return raw ~= 0ULL
  elseif field.type == "double" then
    ffi.copy(double_box, raw, 8)
    return double_box[0]
  elseif wire == VARINT then
    local value = ffi.cast("int64_t", raw)
    if field.type == "int32" then
      value = ffi.cast("int32_t", value)
    end
    return tonumber(value)
  end
  return raw
end

local function each_field(bytes, found)
  local at = 1
  while at <= #bytes do
    local key, raw
    key, at = get_varint(bytes, at)
    key = tonumber(key)
    local wire = key % 8
    raw, at = get_raw(bytes, at, wire)
    found((key - wire) / 8, wire, raw)
  end
end

local function map_entry(field, raw)
  local key, value = "", field.scalar and field.scalar.default or {}
  each_field(raw, function(number, wire, inner)
    if number == 1 then
      key = inner
    elseif number == 2 then
      value = from_raw(field, wire, inner)
    end
  end)
  return key, value
end

function M.decode(name, bytes)
  local message = messages[name] or error("no message " .. name)
  local value = {}
  for _, field in ipairs(message.list) do
    if field.repeated or field.map then
      value[field.name] = {}
    elseif field.scalar and not field.oneof then
      value[field.name] = field.scalar.default
    end
  end
  each_field(bytes, function(number, wire, raw)
    local field = message.by_number[number]
    if not field then
      return
    elseif field.map then
      local key, item = map_entry(field, raw)
      value[field.name][key] = item
    elseif field.repeated then
      table.insert(value[field.name], from_raw(field, wire, raw))
    else
      value[field.name] = from_raw(field, wire, raw)
    end
  end)
  return value
end

-- The length in front of each frame: four bytes, the lowest first.
function M.frame_length(len)
  return char(band(len, 0xff), band(rshift(len, 8), 0xff), band(rshift(len, 16), 0xff),
    band(rshift(len, 24), 0xff))
end

function M.read_frame_length(bytes)
  local a, b, c, d = byte(bytes, 1, 4)
  return a + lshift(b, 8) + lshift(c, 16) + d * 0x1000000
end

return M
