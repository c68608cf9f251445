"""What is measured. Each function returns plain data for the JSON file; tables.py prints it."""

import os
import resource
import shutil
import statistics
import subprocess
import time

from . import measure
from .servers import Failed

PAIRS = 5
CONNECTIONS = (1, 16, 64)
TIMES = {"seconds": 0.5, "warmup": 0.15}
CURVE = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TITLES = {"protobuf": "ProtoBuf:1", "msgpack": "MsgPack:1"}


def loud(text):
    print("\n*** %s\n" % text, flush=True)


def say(text):
    print("  %s" % text, flush=True)


def summary(samples):
    """Medians of several runs of one server."""
    keys = ("events_per_s", "latency_us/p50", "latency_us/p99", "latency_us/p99.9")
    keys += ("server_cpu_us", "load_cpu_us")
    return dict(
        {key: measure.median(samples, key) for key in keys},
        errors=sum(figures["errors"] for figures in samples),
    )


def against(samples, first, others):
    """Medians of all, and of the ratios of `first` to each other one, pair by pair."""
    row = {"servers": {name: summary(samples[name]) for name in [first] + others}, "ratios": {}}
    for name in others:
        row["ratios"][name] = {
            key: measure.ratio(samples[first], samples[name], key)
            for key in ("events_per_s", "latency_us/p50", "latency_us/p99", "server_cpu_us")
        }
    row["samples"] = samples
    return row


def limit_pairs(bench):
    """Ours against the limit, run by run."""
    rows = []
    cells = [("set-header", connections, False) for connections in CONNECTIONS]
    cells += [("set-header", 16, True), ("getters", 1, False), ("getters", 16, False)]
    for protocol in ("protobuf", "msgpack"):
        for script in ("set-header", "getters"):
            ours = bench.ours(script)
            limit = bench.limit(protocol, script)
            for cell_script, connections, as_kong in cells:
                if cell_script != script or (as_kong and protocol == "msgpack"):
                    continue
                say(
                    "%s, %s, %d connections%s"
                    % (TITLES[protocol], script, connections, ", as Kong writes" if as_kong else "")
                )
                samples = measure.rounds(
                    bench,
                    PAIRS,
                    (ours, limit),
                    protocol,
                    script,
                    connections=connections,
                    as_kong=as_kong,
                    **TIMES
                )
                row = against(samples, "ours", ["limit"])
                row.update(
                    protocol=protocol, script=script, connections=connections, as_kong=as_kong
                )
                rows.append(row)
            bench.stop(ours)
            bench.stop(limit)
    return rows


def prefetch(bench):
    """Handlers with getters, each way of --prefetch, and the limit with getters one by one and
    together; taking turns. ProtoBuf:1."""
    rows = []
    for script in ("getters", "ten-getters", "body"):
        servers = [
            bench.ours(script, name=mode, more=("--prefetch", mode))
            for mode in ("off", "declared", "auto")
        ]
        servers += [bench.limit("protobuf", script, together) for together in (False, True)]
        for connections in (1, 16):
            say("prefetch, %s, %d connections" % (script, connections))
            samples = measure.rounds(
                bench, PAIRS, servers, "protobuf", script, connections=connections, **TIMES
            )
            base = samples["off"]
            for server in servers:
                runs = samples[server.name]
                ratio = measure.ratio(runs, base, "events_per_s")
                row = dict(summary(runs), server=server.name, ratio=ratio, samples=runs)
                rows.append(dict(row, script=script, connections=connections))
        for server in servers:
            bench.stop(server)
    return rows


GROWTH = (
    ("instances", {"connections": 16, "instances": 1}),
    ("instances", {"connections": 16, "instances": 1000}),
    ("instances", {"connections": 16, "instances": 100000}),
    ("connections", {"connections": 100, "idle": 0}),
    ("connections", {"connections": 100, "idle": 9900}),
)


def growth(bench):
    """Our server alone with more and more instances and connections, taking turns, each time on a
    fresh server. Ratios are to the first of a kind."""
    samples = {}
    for turn in range(3):
        say("growth, round %d" % (turn + 1))
        for number, (_, options) in enumerate(GROWTH):
            ours = bench.ours()
            try:
                figures = measure.load(bench, ours, "protobuf", **dict(TIMES, warmup=0.4, **options))
                samples.setdefault(number, []).append(figures)
            except Failed as failed:
                loud("growth with %s is left out: %s" % (options, failed))
            bench.stop(ours)
    rows = []
    first = {}
    for number, runs in samples.items():
        kind, options = GROWTH[number]
        base = first.setdefault(kind, runs)
        ratio = measure.ratio(runs, base, "events_per_s")
        rows.append(dict(summary(runs), options=options, ratio=ratio, samples=runs))
    return rows


def open_loop(bench):
    """Latency at a fixed rate, from when each event was due: half of what ours can at 16."""
    rows = []
    for protocol in ("protobuf", "msgpack"):
        ours = bench.ours()
        limit = bench.limit(protocol)
        top = measure.load(bench, ours, protocol, connections=16, **TIMES)["events_per_s"]
        for share in (0.25, 0.5):
            rate = int(top * share / 1000 + 1) * 1000
            say("%s, open loop, %d events/s" % (TITLES[protocol], rate))
            samples = measure.rounds(
                bench, 3, (ours, limit), protocol, connections=64, rate=rate, **TIMES
            )
            row = against(samples, "ours", ["limit"])
            rows.append(dict(row, protocol=protocol, rate=rate))
        bench.stop(ours)
        bench.stop(limit)
    return rows


def curve(bench):
    """For the picture: the medians of three short runs for each number of connections."""
    points = []
    for protocol in ("protobuf", "msgpack"):
        servers = (bench.ours(), bench.limit(protocol))
        say("%s, curve over 1 to %d connections" % (TITLES[protocol], CURVE[-1]))
        for connections in CURVE:
            samples = measure.rounds(
                bench, 3, servers, protocol, connections=connections, seconds=0.25, warmup=0.05
            )
            for name, runs in samples.items():
                point = {"protocol": protocol, "server": name, "connections": connections}
                points.append(dict(summary(runs), **point))
        for server in servers:
            bench.stop(server)
    return points


THREADS = (1, 2)
# Of the events that burn 1 ms: in all 30 % of one processor's time.
BUSY = {"connections": 4, "rate": 300, "config": '"burn_us":1000', "warmup": 0, "seconds": 1.2}


def threads(bench):
    """One thread and two, taking turns on fresh servers: as fast as it goes, and the latency of
    light events beside events whose handler burns 1 ms."""
    samples = {}
    for turn in range(3):
        say("threads, round %d" % (turn + 1))
        for count in THREADS:
            server = bench.threads(count)
            for protocol in ("protobuf", "msgpack"):
                figures = measure.load(bench, server, protocol, connections=16, **TIMES)
                samples.setdefault((protocol, "plain", count), []).append(figures)
                with measure.Beside(bench, server, protocol, **BUSY):
                    time.sleep(0.1)
                    light = measure.load(
                        bench, server, protocol, connections=8, rate=2000, **TIMES
                    )
                samples.setdefault((protocol, "beside busy ones", count), []).append(light)
            bench.stop(server)
    rows = []
    for (protocol, case, count), runs in sorted(samples.items()):
        base = samples[(protocol, case, THREADS[0])]
        figures = {key: measure.median(runs, key) for key in _THREAD_KEYS}
        ratios = {key: measure.ratio(runs, base, key) for key in _THREAD_KEYS}
        errors = sum(run["errors"] for run in runs)
        rows.append(
            dict(
                figures,
                protocol=protocol,
                case=case,
                threads=count,
                ratios=ratios,
                errors=errors,
                samples=runs,
            )
        )
    return rows


_THREAD_KEYS = ("events_per_s", "latency_us/mean", "latency_us/p50", "latency_us/p90")
_THREAD_KEYS += ("latency_us/p99",)


def _idle_memory(bench, protocol, counts):
    """[(connections, resident bytes)], each on a server of its own."""
    points = []
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for count in counts:
        if count + 100 > files:
            loud("%d idle connections are left out: only %d open files allowed" % (count, files))
            continue
        server = bench.ours()
        with measure.Held(bench, server, protocol, events=100, idle=count):
            points.append((count, server.resident()))
        bench.stop(server)
    return points


def memory(bench):
    say("memory")
    server = bench.ours()
    fresh = server.resident()
    bench.stop(server)
    found = {"idle_bytes": fresh, "curve": {}}
    for protocol in ("protobuf", "msgpack"):
        found["curve"][protocol] = _idle_memory(bench, protocol, (0, 1000, 2000, 5000, 10000))
    server = bench.ours()
    instances = []
    for count in (100, 10000):
        measure.load(bench, server, "protobuf", events=100, instances=count)
        instances.append(server.resident())
    # the first 100 stay: the second run adds 10,000 and the one that is looked at
    found["instance_bytes"] = (instances[1] - instances[0]) / 10001
    few = server.resident()
    done = measure.load(bench, server, "protobuf", events=1000000, connections=16)
    found["events"] = {"count": done["events_all"], "growth_bytes": server.resident() - few}
    bench.stop(server)
    return found


def per_connection(points):
    """Bytes for each idle connection, by the growth from none to each count."""
    by_count = dict(points)
    return {
        count: (size - by_count[0]) / count
        for count, size in by_count.items()
        if count in (1000, 10000) and 0 in by_count
    }


def startup(bench):
    say("start and dump")
    path = bench.socket("startup")
    command = bench.command("set-header", path)
    listening = measure.startup(bench, 20, path, command)
    dump = measure.startup(bench, 20, "-", [command[0], "--dump"])
    return {
        "listening_ms": statistics.median(listening),
        "listening_least_ms": min(listening),
        "dump_ms": statistics.median(dump),
        "dump_least_ms": min(dump),
        "binary_bytes": os.path.getsize(bench.stripped(command[0])),
    }


def system_calls(bench):
    if not shutil.which("strace"):
        loud("system calls per event are left out: no strace here")
        return None
    rows = []
    for protocol in ("protobuf", "msgpack"):
        for connections in (1, 16):
            say("%s, system calls, %d connections" % (TITLES[protocol], connections))
            calls = measure.system_calls(bench, "set-header", protocol, connections)
            rows.append({"protocol": protocol, "connections": connections, "calls": calls})
    return rows


def instructions(bench):
    if not shutil.which("valgrind"):
        loud("instructions per event are left out: no valgrind here")
        return None
    found = {}
    for protocol in ("protobuf", "msgpack"):
        for script in ("set-header", "getters"):
            say("%s, %s, instructions" % (TITLES[protocol], script))
            name = "%s %s" % (TITLES[protocol], script)
            found[name] = measure.instructions(bench, script, protocol)
    return found


def http(bench):
    """Real requests through nginx with Lua in Kong's place: {case: [figures]}, in turns."""
    for tool in ("nginx", "wrk", "curl"):
        if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin"):
            raise Failed("no %s here (tests/install-deps.sh bench)" % tool)
    command = [
        os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "http.sh"),
        os.path.join(bench.build, "apiversion-server"),
        str(PAIRS),
        "2",
    ]
    samples = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, universal_newlines=True) as process:
        for line in process.stdout:
            name, rate, p50, p99, errors = line.rstrip("\n").split("\t")
            say("%s: %s requests/s" % (name, rate))
            samples.setdefault(name, []).append(
                {
                    "requests_per_s": float(rate),
                    "p50_us": float(p50),
                    "p99_us": float(p99),
                    "errors": int(errors),
                }
            )
    if process.returncode != 0:
        raise Failed("%s ended with status %d" % (command[0], process.returncode))
    return samples


def peers(bench):
    """All plugin servers that are there, taking turns. Each speaks one protocol but ours."""
    rows = []
    for script in ("set-header", "getters"):
        servers = [("ours", bench.ours(script), "protobuf"), ("ours", None, "msgpack")]
        servers[1] = ("ours", servers[0][1], "msgpack")
        for name, protocol in (("go", "protobuf"), ("js", "msgpack"), ("python", "msgpack")):
            server = bench.peer(name, script)
            if server is None:
                loud("%s is left out: it is not installed" % name)
            else:
                servers.append((server.name, server, protocol))
        for connections in CONNECTIONS:
            say("%s, %d connections" % (script, connections))
            samples = {}
            for _ in range(PAIRS):
                for name, server, protocol in servers:
                    figures = measure.load(
                        bench, server, protocol, script, connections=connections, **TIMES
                    )
                    samples.setdefault((name, protocol), []).append(figures)
            for (name, protocol), runs in samples.items():
                row = against({"ours": samples["ours", protocol], name: runs}, "ours", [name])
                row.update(
                    server=name, protocol=protocol, script=script, connections=connections
                )
                rows.append(row)
        for name, server, _ in servers[1:]:
            rows.append({"server": name, "script": script, "resident_bytes": server.resident()})
        for server in list(bench.running):
            bench.stop(server)
    return rows
