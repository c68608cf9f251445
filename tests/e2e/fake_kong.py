"""As much of Kong's Admin API and proxy as tests/e2e/kong.sh talks to, so that the script itself can be tried without a
Kong. It proves nothing of Kong. What a configuration breaks, the server says itself (--check-config).

Like Kong it has two workers, of which the second hears of a change later, and its answers hold the ids of other objects:
behind all else, as Kong 2.8.5 answered, and before it, by turns.

fake_kong.py BINARY FILE    writes the two addresses into FILE, and ends by itself after two minutes
FAKE_KONG_FAULT=stale: a changed configuration is not used; =lax: nothing is refused
"""
import copy
import itertools
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
lock = threading.Lock()


class Worker:
    """Sees a change only after some requests, the first worker after none."""

    def __init__(self, lag):
        self.lag, self.left, self.view = lag, 0, ({}, {})

    def look(self):
        if self.left > 0:
            self.left -= 1
        else:
            self.view = copy.deepcopy((routes, plugins))
        return self.view


workers = [Worker(0), Worker(60)]
turns = itertools.cycle(workers)


def changed():
    for worker in workers:
        worker.left = worker.lag


others_last = itertools.cycle((True, False))


def in_kongs_order(body):
    own = {key: value for key, value in body.items() if not isinstance(value, dict)}
    others = {key: value for key, value in body.items() if isinstance(value, dict)}
    return {**own, **others} if next(others_last) else {**others, **own}


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
        with lock:
            seen_routes, seen_plugins = next(turns).look()
        if route not in seen_routes:
            return self.answer(404, {"message": "no Route matched with those values"})
        headers = [(p["used"]["response_header"], p["used"]["version"]) for p in seen_plugins.values() if p["service"] == seen_routes[route]]
        self.answer(200, {}, headers)


class Admin(Handler):
    def do_GET(self):
        self.answer(200, {"enabled_plugins": ["api-version"]} if self.path == "/plugins/enabled" else {})

    def made(self, **what):
        changed()
        self.answer(201, in_kongs_order({"created_at": 1, **what}))

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
            self.made(id=new, service={"id": services[parts[1]]})
        else:
            plugins[new] = {"service": parts[1], "config": dict(DEFAULTS), "used": dict(DEFAULTS)}
            self.made(id=new, config=DEFAULTS, service={"id": services[parts[1]]}, consumer=None)

    def do_PATCH(self):
        plugin = plugins.get(self.path.rsplit("/", 1)[1])
        if plugin is None:
            return self.answer(404, {"message": "Not found"})
        config = {**plugin["config"], **self.fields()["config"]}
        wrong = self.violations(config)
        if wrong:
            return self.answer(400, {"message": f"schema violation ({wrong})"})
        plugin["config"] = config
        if FAULT != "stale":
            plugin["used"] = config
        changed()
        self.answer(200, {"config": config})

    def do_DELETE(self):
        kind, name = self.path[1:].split("/")
        {"services": services, "routes": routes, "plugins": plugins}[kind].pop(name, None)
        changed()
        self.answer(204)


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # with the 5 of Python's a connection beyond them waits a second


servers = [Server(("127.0.0.1", 0), handler) for handler in (Admin, Proxy)]
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
with open(ADDRESSES + ".new", "w") as file:
    print(*(f"http://127.0.0.1:{server.server_port}" for server in servers), file=file)
os.rename(ADDRESSES + ".new", ADDRESSES)
threading.Event().wait(120)
