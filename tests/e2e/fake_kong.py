"""As much of Kong's Admin API and proxy as tests/e2e/kong.sh talks to, so that the script itself can be tried without a
Kong. It proves nothing of Kong. What a configuration breaks, the server says itself (--check-config).

fake_kong.py BINARY FILE    writes the two addresses into FILE, and ends by itself after two minutes
FAKE_KONG_FAULT=stale: a changed configuration is not used; =lax: nothing is refused
"""
import json
import os
import subprocess
import sys
import threading
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BINARY, ADDRESSES = sys.argv[1:3]
FAULT = os.environ.get("FAKE_KONG_FAULT", "")
DEFAULTS = {"response_header": "Version", "version": "0.1"}
services, routes, plugins = {}, {}, {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=None, headers=()):
        data = b"" if body is None else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(str(name), str(value))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def fields(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.headers.get("Content-Type") == "application/json":
            return json.loads(text)
        flat = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
        config = {name[7:]: flat.pop(name) for name in list(flat) if name.startswith("config.")}
        return {**flat, **({"config": config} if config else {})}


class Proxy(Handler):
    def do_GET(self):
        route = self.path[1:].split("?")[0]
        if route not in routes:
            return self.answer(404, {"message": "no Route matched with those values"})
        headers = [(p["used"]["response_header"], p["used"]["version"]) for p in plugins.values() if p["service"] == routes[route]]
        self.answer(200, {}, headers)


class Admin(Handler):
    def do_GET(self):
        self.answer(200, {"enabled_plugins": ["api-version"]} if self.path == "/plugins/enabled" else {})

    def made(self, **what):
        self.answer(201, {"created_at": 1, **what})

    def violations(self, config):
        if FAULT == "lax":
            return ""
        checked = subprocess.run([BINARY, "--check-config", "-"], input=json.dumps(config, ensure_ascii=False).encode(), stdout=subprocess.PIPE)
        return checked.stdout.decode().strip()

    def do_POST(self):
        fields, parts, new = self.fields(), self.path[1:].split("/"), str(uuid.uuid4())
        if parts == ["services"]:
            services[fields["name"]] = new
            self.made(id=new)
        elif parts[2] == "routes":
            routes[fields["name"]] = parts[1]
            self.made(id=new)
        else:
            plugins[new] = {"service": parts[1], "config": dict(DEFAULTS), "used": dict(DEFAULTS)}
            self.made(id=new, config=DEFAULTS)

    def do_PATCH(self):
        plugin = plugins[self.path.rsplit("/", 1)[1]]
        config = {**plugin["config"], **self.fields()["config"]}
        wrong = self.violations(config)
        if wrong:
            return self.answer(400, {"message": f"schema violation ({wrong})"})
        plugin["config"] = config
        if FAULT != "stale":
            plugin["used"] = config
        self.answer(200, {"config": config})

    def do_DELETE(self):
        kind, name = self.path[1:].split("/")
        {"services": services, "routes": routes, "plugins": plugins}[kind].pop(name, None)
        self.answer(204)


servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (Admin, Proxy)]
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
with open(ADDRESSES + ".new", "w") as file:
    print(*(f"http://127.0.0.1:{server.server_port}" for server in servers), file=file)
os.rename(ADDRESSES + ".new", ADDRESSES)
threading.Event().wait(120)
