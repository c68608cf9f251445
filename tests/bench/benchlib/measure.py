"""One run of the load generator, and rounds of runs."""

import json
import re
import statistics
import subprocess

from .servers import Failed


def _command(bench, server, protocol, script, options):
    command = [
        bench.tool("load"),
        "--socket=" + server.path,
        "--protocol=" + protocol,
        "--plugin=" + server.plugin,
        "--script=" + script,
    ]
    if server.fields:
        command.append("--config=" + server.fields)
    for name, value in options.items():
        name = name.replace("_", "-")
        if value is True:
            command.append("--" + name)
        elif value not in (None, False):
            command.append("--%s=%s" % (name, value))
    return command


def load(bench, server, protocol, script="set-header", **options):
    """Runs the load generator; its figures, with the server's CPU time for an event."""
    options["server_pid"] = server.process.pid
    done = subprocess.run(
        _command(bench, server, protocol, script, options),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        why = done.stderr.decode().strip()
        raise Failed("%s, %s, %s: %s" % (server.name, protocol, script, why))
    figures = json.loads(done.stdout.decode())
    figures["server"] = server.name
    return figures


class Beside:
    """Load on the same server while something else is measured. Its figures are not looked at, but
    that nothing went wrong."""

    def __init__(self, bench, server, protocol, **options):
        self.process = subprocess.Popen(
            _command(bench, server, protocol, "set-header", options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        why = self.process.communicate()[1].decode().strip()
        if self.process.returncode != 0:
            raise Failed("load beside: %s" % why)


class Held:
    """Connections that stay open while the server is looked at."""

    def __init__(self, bench, server, protocol, **options):
        command = _command(bench, server, protocol, "set-header", dict(options, hold=True))
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        line = self.process.stdout.readline()
        if not line:
            raise Failed("%s: %s" % (server.name, self.process.communicate()[1].decode().strip()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate()


def rounds(bench, count, servers, protocol, script="set-header", **options):
    """`count` runs of each server, taking turns: {name: [figures]}."""
    samples = {server.name: [] for server in servers}
    for _ in range(count):
        for server in servers:
            samples[server.name].append(load(bench, server, protocol, script, **options))
    return samples


def pick(figures, key):
    for part in key.split("/"):
        figures = figures[part]
    return figures


def median(samples, key):
    return statistics.median(pick(figures, key) for figures in samples)


def ratio(samples, others, key):
    """The median of the ratios of runs that were made next to each other."""
    pairs = [
        pick(ours, key) / pick(theirs, key)
        for ours, theirs in zip(samples, others)
        if pick(theirs, key) > 0
    ]
    return statistics.median(pairs) if pairs else None


def startup(bench, count, path, command):
    """Milliseconds, `count` times."""
    done = subprocess.run(
        [bench.tool("startup"), str(count), path] + command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(done.stderr.decode().strip())
    return [float(line) for line in done.stdout.decode().split()]


def system_calls(bench, script, protocol, connections, few=2000, many=12000):
    """What strace counts for an event: {call: times}; the start and the end are taken out."""
    counts = []
    for events in (few, many):
        out = bench.socket("strace.%d" % events)
        server = bench.ours(script, ("strace", "-f", "-c", "-U", "name,calls", "-o", out), "strace")
        load(bench, server, protocol, script, connections=connections, events=events)
        bench.stop(server, server.pids()[1])
        found = {}
        with open(out, encoding="ascii", errors="replace") as lines:
            for line in lines:
                match = re.match(r"(\w+)\s+(\d+)$", line.strip())
                if match and match.group(1) != "total":
                    found[match.group(1)] = int(match.group(2))
        counts.append(found)
    per_event = {
        name: (calls - counts[0].get(name, 0)) / (many - few) for name, calls in counts[1].items()
    }
    return {name: calls for name, calls in sorted(per_event.items()) if calls >= 0.01}


def _instructions(bench, script, protocol, events):
    out = bench.socket("callgrind.%s.%s.%d" % (script, protocol, events))
    wrap = ("valgrind", "--tool=callgrind", "--quiet", "--callgrind-out-file=" + out)
    server = bench.ours(script, wrap, "callgrind")
    load(bench, server, protocol, script, events=events, patience=60)
    bench.stop(server)
    with open(out, encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith(("summary:", "totals:")):
                return int(line.split()[1])
    raise Failed("callgrind wrote no total")


def instructions(bench, script, protocol, few=500, many=2500):
    """User-space instructions for an event, on one connection. Start, end and what grows only
    once are taken out by the difference of two runs."""
    return (
        _instructions(bench, script, protocol, many) - _instructions(bench, script, protocol, few)
    ) / (many - few)
