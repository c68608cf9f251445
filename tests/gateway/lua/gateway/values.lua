-- ProtoBuf:1: what Kong makes of an argument message before it calls a PDK function, and of a
-- function's results. Its losses are part of the protocol: a null and a false inside a Value read as
-- nil.

local M = {}

local from_value

local function from_list(list)
  local out = {}
  for i, item in ipairs(list.values) do
    out[i] = from_value(item)
  end
  return out
end

local function from_struct(struct)
  local out = {}
  for key, item in pairs(struct.fields) do
    out[key] = from_value(item)
  end
  return out
end

function from_value(value)
  if value.list_value then
    return from_list(value.list_value)
  elseif value.struct_value then
    return from_struct(value.struct_value)
  end
  return value.bool_value or value.string_value or value.number_value or nil
end

local to_value

local function to_list(items)
  local out = {}
  for i, item in ipairs(items) do
    out[i] = to_value(item)
  end
  return { values = out }
end

local function to_struct(map)
  local out = {}
  for key, item in pairs(map) do
    out[key] = to_value(item)
  end
  return { fields = out }
end

function to_value(value)
  local kind = type(value)
  if kind == "boolean" then
    return { bool_value = value }
  elseif kind == "number" then
    return { number_value = value }
  elseif kind == "string" then
    return { string_value = value }
  elseif kind == "table" then
    if value[1] ~= nil then
      return { list_value = to_list(value) }
    end
    return { struct_value = to_struct(value) }
  end
  return { null_value = 1 }
end

local function only_v(message)
  return { n = 1, message.v }
end

local takes = {
  Empty = function()
    return { n = 0 }
  end,
  ListValue = function(list)
    local args = from_list(list)
    args.n = #list.values
    return args
  end,
  Struct = function(struct)
    return { n = 1, from_struct(struct) }
  end,
  KV = function(kv)
    return { n = 2, kv.k, kv.v and from_value(kv.v) }
  end,
  Target = function(target)
    return { n = 2, target.host, target.port }
  end,
  ExitArgs = function(args)
    return { n = 3, args.status, args.body, args.headers and from_struct(args.headers) }
  end,
  ConsumerSpec = function(spec)
    return { n = 2, spec.id, spec.by_username }
  end,
  AuthenticateArgs = function(args)
    return { n = 2, args.consumer, args.credential }
  end,
  String = only_v, Int = only_v, Bool = only_v, ByteString = only_v,
}

-- The decoded argument message as the function's arguments, with their count in n.
function M.unwrap(message, value)
  return takes[message](value)
end

local function in_v(value)
  return { v = value }
end

local gives = {
  Empty = function() end,
  Value = to_value,
  Struct = function(map)
    return map and to_struct(map)
  end,
  String = in_v, Int = in_v, Number = in_v, Bool = in_v, ByteString = in_v,
  RawBodyResult = function(body, err)
    if type(body) == "string" then
      return { content = body }
    end
    local file = ngx.req.get_body_file()
    if file then
      return { body_filepath = file }
    end
    return { error = err or "Can't read request body" }
  end,
}

-- The function's results as the message to encode; nil for an empty frame.
function M.wrap(message, value, err)
  local wrap = gives[message]
  if wrap then
    return wrap(value, err)
  end
  return value
end

return M
