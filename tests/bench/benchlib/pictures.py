"""Pictures by gnuplot: SVG files next to the JSON."""

import os
import shutil
import subprocess

from .sections import TITLES, loud

COLOURS = {
    ("ours", "protobuf"): "#1f6feb",
    ("ours", "msgpack"): "#d9480f",
    ("limit", "protobuf"): "#8b949e",
    ("limit", "msgpack"): "#c9a58a",
}
HEAD = """set terminal svg size 960,420 font 'sans-serif,13' background 'white'
set grid lc rgb '#dddddd'
set key outside right center
set logscale x 2
set border 3
set tics nomirror
"""


def _gnuplot(script):
    done = subprocess.run(
        ("gnuplot",), input=script.encode(), stderr=subprocess.PIPE, check=False
    )
    if done.returncode != 0:
        loud("gnuplot failed: %s" % done.stderr.decode().strip())


def _block(name, points):
    return "$%s << END\n%s\nEND\n" % (name, "\n".join("%g %g" % point for point in points))


def _points(curve, protocol, server, value):
    return [
        (point["connections"], value(point))
        for point in curve
        if point["protocol"] == protocol and point["server"] == server
    ]


def throughput(curve, path, title):
    blocks, plots = [], []
    for protocol in ("protobuf", "msgpack"):
        for server in ("ours", "limit"):
            name = "%s_%s" % (server, protocol)
            points = _points(curve, protocol, server, lambda point: point["events_per_s"])
            blocks.append(_block(name, points))
            plots.append(
                "$%s using 1:2 with linespoints lw 2 pt 7 ps 0.5 dt %d lc rgb '%s' title '%s, %s'"
                % (
                    name,
                    1 if protocol == "protobuf" else 2,
                    COLOURS[server, protocol],
                    TITLES[protocol],
                    server,
                )
            )
    _gnuplot(
        "%s%sset output '%s'\nset title '%s'\nset xlabel 'connections, one event under way each'\n"
        "set ylabel 'events/s'\nset format y \"%%'.0f\"\nset yrange [0:*]\nplot %s\n"
        % (HEAD, "".join(blocks), path, title, ", ".join(plots))
    )


def latency(curve, path, title):
    blocks, plots = [], []
    for number, key in enumerate(("p50", "p99", "p99.9")):
        for server in ("ours", "limit"):
            name = "%s_%d" % (server, number)
            points = _points(
                curve, "protobuf", server, lambda point, key=key: point["latency_us/" + key]
            )
            blocks.append(_block(name, points))
            plots.append(
                "$%s using 1:2 with linespoints lw 2 pt 7 ps 0.5 dt %d lc rgb '%s' title '%s, %s'"
                % (name, number + 1, COLOURS[server, "protobuf"], key, server)
            )
    _gnuplot(
        "%s%sset output '%s'\nset title '%s'\nset xlabel 'connections, one event under way each'\n"
        "set ylabel 'µs'\nset logscale y 10\nplot %s\n"
        % (HEAD, "".join(blocks), path, title, ", ".join(plots))
    )


def memory(curve, path, title):
    blocks, plots = [], []
    for number, (protocol, points) in enumerate(curve.items()):
        blocks.append(_block(protocol, [(x, y / (1 << 20)) for x, y in points]))
        plots.append(
            "$%s using 1:2 with linespoints lw 2 pt 7 ps 0.5 dt %d lc rgb '%s' title '%s'"
            % (protocol, number + 1, COLOURS["ours", protocol], TITLES[protocol])
        )
    _gnuplot(
        "%sunset logscale x\n%sset output '%s'\nset title '%s'\nset xlabel 'idle connections'\n"
        "set ylabel 'MiB resident'\nset yrange [0:*]\nplot %s\n"
        % (HEAD, "".join(blocks), path, title, ", ".join(plots))
    )


def draw(figures, directory):
    """The files that were written."""
    if not shutil.which("gnuplot"):
        loud("pictures are left out: no gnuplot here (Debian: gnuplot-nox)")
        return []
    machine = "%s, %d cores" % (figures["machine"]["cpu"], figures["machine"]["cores_used"])
    machine = machine.replace("'", "")
    names = [os.path.join(directory, name + ".svg") for name in ("throughput", "latency", "memory")]
    throughput(figures["curve"], names[0], "set-header, events/s (%s)" % machine)
    latency(figures["curve"], names[1], "set-header, ProtoBuf:1, latency (%s)" % machine)
    memory(figures["memory"]["curve"], names[2], "resident memory of the server")
    return [name for name in names if os.path.exists(name)]
