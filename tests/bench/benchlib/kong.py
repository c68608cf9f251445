"""Requests/s through a running Kong that is on PATH, with plugin servers in turn behind one socket."""

import functools
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

from .servers import PATIENCE, Failed

LIMIT = "limit"
PLUGINS = {"version": "api-version", "getters": "bench-getters", "ten-getters": "bench-ten"}
PORTS = {"proxy": 28710, "admin": 28711, "upstream": 28712}

LUA = """local VersionHandler = { PRIORITY = 1000, VERSION = "0.1" }
function VersionHandler:header_filter(conf)
  kong.response.set_header("Version", "0.1")
end
return VersionHandler
"""
LUA_SCHEMA = """return { name = "lua-version", fields = {
  { config = { type = "record", fields = {} } } } }
"""
NGINX = """pid %(dir)s/nginx.pid; error_log %(dir)s/nginx.log; worker_processes 1;
events {} http { access_log off; server { listen 127.0.0.1:%(port)d; keepalive_requests 1000000;
location / { return 200 "upstream"; } } }
"""


def _routes(directory, upstream):
    services = []
    cases = [("none", None), ("lua", "lua-version")] + list(PLUGINS.items())
    for name, plugin in cases:
        services.append(
            {
                "name": name,
                "url": "http://127.0.0.1:%d/" % upstream,
                "routes": [{"name": name, "paths": ["/" + name]}],
                "plugins": [{"name": plugin}] if plugin else [],
            }
        )
    path = os.path.join(directory, "kong.yml")
    with open(path, "w", encoding="utf-8") as file:  # JSON is YAML
        json.dump({"_format_version": "3.0", "services": services}, file)
    return path


class Kong:
    """A Kong without a database, one worker, an nginx as upstream; all below a directory."""

    def __init__(self, bench, protocol):
        self.bench = bench
        self.protocol = protocol
        self.directory = bench.socket("kong-" + protocol)
        os.makedirs(os.path.join(self.directory, "lua/kong/plugins/lua-version"))
        for name, text in (("handler", LUA), ("schema", LUA_SCHEMA)):
            path = "lua/kong/plugins/lua-version/%s.lua" % name
            with open(os.path.join(self.directory, path), "w", encoding="utf-8") as file:
                file.write(text)
        self.nginx = os.path.join(self.directory, "nginx.conf")
        with open(self.nginx, "w", encoding="utf-8") as file:
            file.write(NGINX % {"dir": self.directory, "port": PORTS["upstream"]})
        self.environment = dict(os.environ, **self._settings(protocol))
        self._run("nginx", "-c", self.nginx)
        try:
            self._run("kong", "start")
        except Failed:
            self.stop()
            raise

    def _settings(self, protocol):
        names = list(PLUGINS.values())
        settings = {
            "prefix": os.path.join(self.directory, "prefix"),
            "database": "off",
            "declarative_config": _routes(self.directory, PORTS["upstream"]),
            "proxy_listen": "127.0.0.1:%d" % PORTS["proxy"],
            "admin_listen": "127.0.0.1:%d" % PORTS["admin"],
            "admin_gui_listen": "off",
            "status_listen": "off",
            "proxy_access_log": "off",
            "anonymous_reports": "off",
            "nginx_worker_processes": "1",
            "nginx_proxy_keepalive_requests": "10000000",
            "plugins": ",".join(["lua-version"] + names),
            "pluginserver_names": ",".join(names),
            "lua_package_path": self.directory + "/lua/?.lua;;",
        }
        if os.getuid() == 0:
            settings["nginx_user"] = "root root"
        for script, name in PLUGINS.items():
            key = "pluginserver_%s_" % name.replace("-", "_")
            program = self.bench.command("set-header" if script == "version" else script, "")[0]
            settings[key + "socket"] = self.socket(name)
            settings[key + "query_cmd"] = "%s --dump --protocol %s" % (program, protocol)
        return {"KONG_" + key.upper(): value for key, value in settings.items()}

    def socket(self, plugin):
        """Where Kong looks for a plugin's server: a link to the one whose turn it is."""
        return os.path.join(self.directory, plugin + ".socket")

    def _run(self, *command):
        done = subprocess.run(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode != 0:
            raise Failed("%s: %s" % (" ".join(command), done.stdout.decode().strip()[-300:]))

    def stop(self):
        for command in (
            ("kong", "stop", "-p", self.environment["KONG_PREFIX"]),
            ("nginx", "-c", self.nginx, "-s", "stop"),
        ):
            subprocess.run(
                command,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        self._gone(os.path.join(self.environment["KONG_PREFIX"], "pids", "nginx.pid"))

    @staticmethod
    def _gone(path):
        end = time.monotonic() + PATIENCE
        while os.path.exists(path) and time.monotonic() < end:
            time.sleep(0.1)

    def link(self, plugin, server):
        path = self.socket(plugin)
        if os.path.islink(path):
            os.unlink(path)
        os.symlink(server.path, path)

    def headers(self, route):
        """Of one answer, as a dictionary; waits until Kong answers 200."""
        url = "http://127.0.0.1:%d/%s" % (PORTS["proxy"], route)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    return dict(answer.headers)
            except OSError as error:
                if time.monotonic() > end:
                    raise Failed("%s: %s" % (url, error)) from error
                time.sleep(0.1)

    def load(self, route, connections, seconds):
        url = "http://127.0.0.1:%d/%s" % (PORTS["proxy"], route)
        command = ("wrk", "-t1", "-c%d" % connections, "-d%d" % seconds, "--latency", "-HUser-Agent: bench", url)
        text = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()
        rate = re.search(r"Requests/sec:\s+([0-9.]+)", text)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        return {
            "requests_per_s": float(rate.group(1)),
            "p50_us": _latency(text, "50%"),
            "p99_us": _latency(text, "99%"),
            "errors": int(bad.group(1)) if bad else 0,
        }


def _latency(text, which):
    value, unit = re.search(r"%s\s+([0-9.]+)(us|ms|s)\b" % which, text).groups()
    return float(value) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def cases(bench, protocol, loud):
    """[(name, route, plugin, a function that starts the server)]. `loud` is told what is not there."""
    found = [("no plugin", "none", None, None), ("Lua", "lua", None, None)]
    found.append(("set-header", "version", "api-version", bench.ours))
    if protocol == "protobuf":
        for script, route in (("set-header", "version"), ("getters", "getters"), ("ten-getters", "ten-getters")):
            start = functools.partial(bench.limit, "kong", script, together=True)
            found.append(("%s, %s" % (script, LIMIT), route, PLUGINS[route], start))
        for script, route in (("set-header", "version"), ("getters", "getters")):
            if bench.has_peer("go"):
                start = functools.partial(bench.peer, "go", script)
                found.append(("%s, go-pdk" % script, route, PLUGINS[route], start))
            else:
                loud("SKIPPED: %s, go-pdk: it is not installed (make bench-peers, where Go is)" % script)
    for script in ("getters", "ten-getters"):
        for mode in ("off", "declared", "auto") if protocol == "protobuf" else ("auto",):
            found.append(
                (
                    "%s, --prefetch %s" % (script, mode),
                    script,
                    PLUGINS[script],
                    lambda script=script, mode=mode: bench.ours(
                        script, name=mode, more=("--prefetch", mode)
                    ),
                )
            )
    return found


def measure(bench, say, loud, pairs, connections=(1, 4, 16), seconds=2):
    """{protocol: {(case, connections): [figures]}}, cases taking turns; and that the headers of the
    answers are the same with each --prefetch."""
    for tool in ("kong", "nginx", "wrk"):
        if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin"):
            raise Failed("no %s on PATH" % tool)
    found = {}
    for protocol, name in (("protobuf", "ProtoBuf:1"), ("msgpack", "MsgPack:1")):
        kong = Kong(bench, name)
        try:
            found[protocol] = _rounds(bench, say, kong, cases(bench, protocol, loud), pairs, connections, seconds)
        finally:
            kong.stop()
    return found


def _rounds(bench, say, kong, turns, pairs, connections, seconds):
    samples, headers = {}, {}
    for turn in range(pairs):
        for name, route, plugin, start in turns:
            say("%s, round %d, %s" % (kong.protocol, turn + 1, name))
            server = start() if start else None
            if server is not None:
                kong.link(plugin, server)
            got = kong.headers(route)
            seen = {
                key: value
                for key, value in got.items()
                if key.startswith("X-") and "Kong" not in key
            }
            if LIMIT not in name and headers.setdefault(route, seen) != seen:
                raise Failed("%s: other headers than before: %s, %s" % (name, seen, headers[route]))
            for count in connections:
                figures = kong.load(route, count, seconds)
                samples.setdefault("%s, %d conn." % (name, count), []).append(figures)
            if server is not None:  # and with it Kong's connections to it
                bench.stop(server)
    return samples
