-- The messages of ProtoBuf:1, and which of them each PDK method takes and gives. Facts of Kong's
-- protocol; the notation is protobuf.lua's.

local message = require("gateway.protobuf").message

message("Empty", "")
message("Value", "null_value:?int32=1 number_value:?double=2 string_value:?string=3 "
  .. "bool_value:?bool=4 struct_value:Struct=5 list_value:ListValue=6")
message("Struct", "fields:{}Value=1")
message("ListValue", "values:[]Value=1")

message("CmdGetPluginNames", "")
message("CmdGetPluginInfo", "name:string=1")
message("CmdStartInstance", "name:string=1 config:bytes=2")
message("CmdGetInstanceStatus", "instance_id:int32=1")
message("CmdCloseInstance", "instance_id:int32=1")
message("CmdHandleEvent", "instance_id:int32=1 event_name:string=2")
message("RpcCall", "sequence:int64=1 cmd_get_plugin_names:CmdGetPluginNames=31 "
  .. "cmd_get_plugin_info:CmdGetPluginInfo=32 cmd_start_instance:CmdStartInstance=33 "
  .. "cmd_get_instance_status:CmdGetInstanceStatus=34 cmd_close_instance:CmdCloseInstance=35 "
  .. "cmd_handle_event:CmdHandleEvent=36")
message("PluginNames", "names:[]string=1")
message("PluginInfo", "name:string=1 updated_at:int64=2 loaded_at:int64=3 phases:[]string=4 "
  .. "version:string=5 priority:int32=6 schema:string=7")
message("InstanceStatus", "name:string=1 instance_id:int32=2 config:Value=3 started_at:int64=4")
message("RpcReturn", "sequence:int64=1 plugin_names:PluginNames=31 plugin_info:PluginInfo=32 "
  .. "instance_status:InstanceStatus=33")

message("KV", "k:string=1 v:Value=2")
message("Bool", "v:bool=1")
message("Int", "v:int32=1")
message("Number", "v:double=1")
message("String", "v:string=1")
message("ByteString", "v:bytes=1")
message("ExitArgs", "status:int32=1 body:bytes=2 headers:Struct=3")
message("Target", "host:string=1 port:int32=2")
message("ConsumerSpec", "id:string=1 by_username:bool=2")
message("ServiceKey", "id:string=1")
message("CertificateKey", "id:string=1")
message("RawBodyResult", "content:?bytes=1 body_filepath:?string=2 error:?string=3")
message("UriCapturesResult", "unnamed:[]bytes=1 named:{}bytes=2")
message("Route", "id:string=1 created_at:int64=2 updated_at:int64=3 name:string=4 "
  .. "protocols:[]string=5 methods:[]string=6 hosts:[]string=7 paths:[]string=8 "
  .. "headers:[]string=9 https_redirect_status_code:int32=10 regex_priority:int32=11 "
  .. "strip_path:bool=12 preserve_host:bool=13 snis:[]string=14 sources:[]string=15 "
  .. "destinations:[]string=16 tags:[]string=17 service:ServiceKey=18")
message("Service", "id:string=1 created_at:int64=2 updated_at:int64=3 name:string=4 "
  .. "retries:int32=5 protocol:string=6 host:string=7 port:int32=8 path:string=9 "
  .. "connect_timeout:int32=10 write_timeout:int32=11 read_timeout:int32=12 tags:[]string=13 "
  .. "client_certificate:CertificateKey=14")
message("Consumer", "id:string=1 created_at:int64=2 username:string=3 custom_id:string=4 "
  .. "tags:[]string=5")
message("AuthenticatedCredential", "id:string=1 consumer_id:string=2")
message("AuthenticateArgs", "consumer:Consumer=1 credential:AuthenticatedCredential=2")
message("ShmStats", "allocated_slabs:int64=1 capacity:int64=2")
message("LuaSharedDicts", "kong:ShmStats=1 kong_db_cache:ShmStats=2")
message("WorkerLuaVm", "http_allocated_gc:int64=1 pid:int64=2")
message("MemoryStats", "lua_shared_dicts:LuaSharedDicts=1 workers_lua_vms:[]WorkerLuaVm=2")

-- module: "function(argument)result …"; E is Empty
local signatures = {
  ["kong.client."] = [[
    get_ip(E)String get_forwarded_ip(E)String get_port(E)Int get_forwarded_port(E)Int
    get_credential(E)AuthenticatedCredential load_consumer(ConsumerSpec)Consumer
    get_consumer(E)Consumer authenticate(AuthenticateArgs)E get_protocol(Bool)String]],
  ["kong.ctx.shared."] = "set(KV)E get(String)Value",
  ["kong.ip."] = "is_trusted(String)Bool",
  ["kong.log."] = [[
    alert(ListValue)E crit(ListValue)E err(ListValue)E warn(ListValue)E notice(ListValue)E
    info(ListValue)E debug(ListValue)E set_serialize_value(KV)E serialize(E)String]],
  ["kong.nginx."] = [[
    get_var(String)String get_tls1_version_str(E)String set_ctx(KV)String get_ctx(String)Value
    req_start_time(E)Number get_subsystem(E)String]],
  ["kong.node."] = "get_id(E)String get_memory_stats(E)MemoryStats",
  ["kong.request."] = [[
    get_scheme(E)String get_host(E)String get_port(E)Int get_forwarded_scheme(E)String
    get_forwarded_host(E)String get_forwarded_port(E)Int get_http_version(E)Number
    get_method(E)String get_path(E)String get_path_with_query(E)String get_raw_query(E)String
    get_query_arg(String)String get_query(Int)Struct get_header(String)String
    get_headers(Int)Struct get_raw_body(E)RawBodyResult get_uri_captures(E)UriCapturesResult]],
  ["kong.response."] = [[
    get_status(E)Int get_header(String)String get_headers(Int)Struct get_source(E)String
    set_status(Int)E set_header(KV)E add_header(KV)E clear_header(String)E set_headers(Struct)E
    exit(ExitArgs)E]],
  ["kong.router."] = "get_route(E)Route get_service(E)Service",
  ["kong.service."] = "set_upstream(String)Bool set_target(Target)E",
  ["kong.service.request."] = [[
    set_scheme(String)E set_path(String)E set_raw_query(String)E set_method(String)E
    set_query(Struct)E set_header(KV)E add_header(KV)E clear_header(String)E
    set_headers(Struct)E set_raw_body(ByteString)E]],
  ["kong.service.response."] = [[
    get_status(E)Int get_header(String)String get_headers(Int)Struct get_raw_body(E)ByteString]],
}

-- methods["kong.response.set_header"] = { takes = "KV", gives = "Empty" }
local methods = {}
for module, functions in pairs(signatures) do
  for name, takes, gives in functions:gmatch("([%w_]+)%((%w+)%)(%w+)") do
    methods[module .. name] = {
      takes = takes == "E" and "Empty" or takes,
      gives = gives == "E" and "Empty" or gives,
    }
  end
end

return { methods = methods }
