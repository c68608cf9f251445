-- The service behind the gateway: what a test needs to see of a request, and what an upstream may
-- answer.
--   /…                the request as it came, in text/plain, with status 200
--   /status/404       the same, with that status
--   /own-version      the same, with a header of the upstream's own: Version: upstream
--   /own-versions     the same, with that header twice, in other letters: VERSION
--   /no-answer        nothing: the connection is closed
--   /stream?id=X      a chunk "first", sent at once; when /stream/go?id=X was called "second" and
--                     "third", each in a chunk of its own; /stream/sent?id=X tells whether "first"
--                     has been sent; with own=1 it has the upstream's own Version, too

local M = {}

local STEP_SECONDS = 0.01
local STEPS = 1500

local function echo()
  ngx.req.read_body()
  local body = ngx.req.get_body_data() or ""
  local file = ngx.req.get_body_file()
  if file then
    local handle = assert(io.open(file, "rb"))
    body = handle:read("*a")
    handle:close()
  end
  local text = ngx.req.raw_header() .. body
  ngx.header["Content-Type"] = "text/plain"
  ngx.header["Content-Length"] = #text
  ngx.print(text)
end

function M.echo()
  local status = ngx.var.uri:match("^/status/(%d%d%d)$")
  if status then
    ngx.status = tonumber(status)
  end
  echo()
end

function M.own_version()
  ngx.header["Version"] = "upstream"
  echo()
end

function M.own_versions()
  ngx.header["VERSION"] = { "one", "two" }
  echo()
end

local function send(text)
  ngx.print(text)
  ngx.flush(true)
end

function M.stream()
  local dict, id = ngx.shared.gateway, "stream:" .. (ngx.var.arg_id or "")
  ngx.header["Content-Type"] = "text/plain"
  ngx.header["Version"] = ngx.var.arg_own and "upstream"
  send("first\n")
  dict:set(id, "first sent")
  for _ = 1, STEPS do
    if dict:get(id) == "go" then
      send("second\n")
      send("third\n")
      return
    end
    ngx.sleep(STEP_SECONDS)
  end
  send("nobody said go\n")
end

-- Both answer 409 before the stream's first chunk was sent.
function M.stream_sent()
  if ngx.shared.gateway:get("stream:" .. (ngx.var.arg_id or "")) ~= "first sent" then
    ngx.exit(ngx.HTTP_CONFLICT)
  end
  ngx.say("sent")
end

function M.stream_go()
  M.stream_sent()
  ngx.shared.gateway:set("stream:" .. ngx.var.arg_id, "go")
end

return M
