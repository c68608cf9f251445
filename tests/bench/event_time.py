#!/usr/bin/env python3
"""Measures where the time of one event goes, and draws it as bars.

event_time.py measure FILE.json [--build DIR]
    How the server's CPU time divides between the kernel and the program (/proc), and which part of the program
    the instructions of an event belong to (callgrind).
event_time.py draw FILE.json FILE.svg

Build with LTO=no: whole-program optimisation moves code from one part to another.
"""

import collections
import json
import os
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True

from benchlib import measure, picture, svg  # noqa: E402
from benchlib.servers import Bench  # noqa: E402

PROTOCOLS = ("protobuf", "msgpack")
TITLES = {"protobuf": "ProtoBuf:1", "msgpack": "MsgPack:1"}
FEW, MANY = 500, 2500
EVENTS = 400000  # the kernel counts CPU time in hundredths of a second
# What a source file, or a library that is linked with, is a part of. The first that fits.
PARTS = (
    (r"(^|/)plugins/", "the plugin"),
    (r"(^|/)proto/|libprotobuf|libmsgpack| protobuf_c_|msgpack_|pluginsocket\.pb-c", "decode and encode"),
    (r"server/rpc/", "the conversation with Kong"),
    (r"server/(pdk|runtime)/", "handler, its stack, the PDK"),
    (r"server/", "the loop, limits, figures"),
    (r"libuv| uv_", "libuv"),
    (r"", "the C library"),
)
ORDER = [name for _, name in PARTS]


def part_of(source, program, function):
    """Of our code the source file says it; of a library its own name, or the function's where it is linked in."""
    ours = source.endswith((".c", ".h")) and ".so" not in program
    where = source if ours else program + " " + function
    return next(name for pattern, name in PARTS if re.search(pattern, where))


def read_callgrind(path):
    """{part: instructions} of a file that callgrind wrote."""
    names = {"fl": {}, "ob": {}, "fn": {}}
    now = {"fl": "", "ob": "", "fn": ""}
    found = collections.Counter()
    skip = False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = re.match(r"(c?)(fl|fi|fe|ob|fn)=\((\d+)\)(?: (.*))?$", line)
            if match:
                called, kind, number, name = match.groups()
                kind = "fl" if kind in ("fi", "fe") else kind
                table = names[kind]
                if name is not None:
                    table[number] = name
                if not called:
                    now[kind] = table[number]
            elif line.startswith("calls="):
                skip = True  # what follows is the cost of what was called, which is counted there
            elif re.match(r"[0-9+*-]", line):
                if not skip:
                    found[part_of(now["fl"], now["ob"], now["fn"])] += int(line.split()[1])
                skip = False
    return found


def instructions(bench, protocol):
    """{part: instructions of one event}. Start and end are taken out by the difference of two runs."""
    runs = []
    for events in (FEW, MANY):
        out = bench.socket("callgrind.%s.%d" % (protocol, events))
        server = bench.ours("set-header", name="callgrind", wrap=("valgrind", "--tool=callgrind", "--quiet", "--callgrind-out-file=" + out), whole=True)
        measure.load(bench, server, protocol, events=events, patience=60)
        bench.stop(server)
        runs.append(read_callgrind(out))
    return {name: (runs[1][name] - runs[0][name]) / (MANY - FEW) for name in ORDER}


def ticks(server):
    """(of the program, of the kernel), of the server's processes."""
    user = kernel = 0
    for pid in server.pids():
        with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        user, kernel = user + int(fields[11]), kernel + int(fields[12])
    return user, kernel


def kernel_share(bench, protocol, connections):
    server = bench.ours("set-header", name="time")
    before = ticks(server)
    measure.load(bench, server, protocol, connections=connections, events=EVENTS)
    after = ticks(server)
    bench.stop(server)
    user, kernel = after[0] - before[0], after[1] - before[1]
    return kernel / (user + kernel)


def run_measure(options):
    directory = tempfile.mkdtemp(prefix="event.")
    bench = Bench(options.build, directory)
    figures = {}
    try:
        for protocol in PROTOCOLS:
            figures[protocol] = {
                "kernel": {str(count): kernel_share(bench, protocol, count) for count in (1, 16)},
                "instructions": instructions(bench, protocol),
            }
    finally:
        bench.stop_all()
        shutil.rmtree(directory)
    with open(options.file, "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=1)


def run_draw(options):
    with open(options.file, encoding="utf-8") as file:
        figures = json.load(file)
    about = "; ".join(
        "%s: the kernel takes %.0f %% of the CPU time with one connection; of our %.0f instructions an event, %s"
        % (
            TITLES[protocol],
            100 * found["kernel"]["1"],
            sum(found["instructions"].values()),
            ", ".join("%s %.0f" % pair for pair in found["instructions"].items()),
        )
        for protocol, found in figures.items()
    )
    picture = svg.Picture(960, 428, "Where the time of one event goes", about)
    left, width, y = 216, 724, 20
    picture.text(20, y + 10, "The server's CPU time: the kernel's part (it reads, writes, wakes up), and ours", class_="name")
    y += 24
    for protocol, found in figures.items():
        for count, share in found["kernel"].items():
            words = "%s, %s connection%s" % (TITLES[protocol], count, "" if count == "1" else "s")
            picture.text(left - 12, y + 19, words, text_anchor="end", font_size=13)
            parts = [(share, svg.GREY, "kernel %.0f %%" % (100 * share)), (1 - share, svg.BLUE, "ours %.0f %%" % (100 - 100 * share))]
            svg.bar(picture, left, y, width, 28, parts)
            y += 34
    y += 26
    picture.text(20, y + 10, "Our part: instructions of one event, from first byte to last", class_="name")
    y += 24
    most = max(sum(found["instructions"].values()) for found in figures.values())
    for protocol, found in figures.items():
        counts = found["instructions"]
        total = sum(counts.values())
        picture.text(left - 12, y + 23, "%s: %s" % (TITLES[protocol], format(round(total), ",")), text_anchor="end", font_size=13)
        parts = [(counts[name] / most, svg.COLOURS[number], format(round(counts[name]), ",")) for number, name in enumerate(ORDER)]
        svg.bar(picture, left, y, width, 36, parts)
        y += 44
    y += 14
    for number, name in enumerate(ORDER):
        x = left + number % 3 * 242
        picture.rect(x, y + number // 3 * 24, 12, 12, fill=svg.COLOURS[number], rx=2)
        counts = [found["instructions"][name] for found in figures.values()]
        thin = ": " + ", ".join("%.0f" % count for count in counts) if max(counts) < 0.03 * most else ""
        picture.text(x + 20, y + number // 3 * 24 + 11, name + thin, font_size=13)
    picture.save(options.svg)


if __name__ == "__main__":
    sys.exit(picture.main(__doc__, run_measure, run_draw))
