"""Prints what sections.py measured."""

from . import measure
from .machine import OtherWork
from .sections import TITLES, per_connection


def table(title, head, rows):
    """The first column to the left, the others to the right."""
    cells = [head] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    print("\n%s" % title)
    for number, row in enumerate(cells):
        line = "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        )
        print("  " + line.rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


def count(value):
    return "{:,.0f}".format(value)


def micro(value):
    return "{:,.1f}".format(value)


def times(value, digits=2):
    return "-" if value is None else "{:.{}f}".format(value, digits)


def size(value):
    if value is None:
        return "-"
    return "%.2f MiB" % (value / (1 << 20)) if value >= 1 << 20 else "{:,.0f} B".format(value)


def _case(row):
    return "%s, %s, %d conn.%s" % (
        TITLES[row["protocol"]],
        row["script"],
        row["connections"],
        ", as Kong writes" if row.get("as_kong") else "",
    )


def limit_pairs(rows):
    head = ["closed loop, medians", "events/s", "limit", "ratio", "p50 µs", "limit", "ratio"]
    head += ["p99 µs", "limit", "p99.9", "limit", "CPU µs", "limit"]
    lines = []
    for row in rows:
        ours, limit = row["servers"]["ours"], row["servers"]["limit"]
        ratios = row["ratios"]["limit"]
        lines.append(
            [
                _case(row),
                count(ours["events_per_s"]),
                count(limit["events_per_s"]),
                times(ratios["events_per_s"]),
                micro(ours["latency_us/p50"]),
                micro(limit["latency_us/p50"]),
                times(ratios["latency_us/p50"]),
                micro(ours["latency_us/p99"]),
                micro(limit["latency_us/p99"]),
                micro(ours["latency_us/p99.9"]),
                micro(limit["latency_us/p99.9"]),
                times(ours["server_cpu_us"]),
                times(limit["server_cpu_us"]),
            ]
        )
    table("Ours against the limit (a loop that parses nothing), taking turns", head, lines)


def prefetch(rows):
    lines = [
        [
            "%s, %d conn., %s" % (row["script"], row["connections"], row["server"]),
            count(row["events_per_s"]),
            times(row["ratio"]),
            micro(row["latency_us/p50"]),
            micro(row["latency_us/p99"]),
            times(row["server_cpu_us"]),
        ]
        for row in rows
    ]
    head = ["--prefetch, ProtoBuf:1", "events/s", "of off", "p50 µs", "p99 µs", "CPU µs"]
    table("Getters asked for one by one and together", head, lines)


def growth(rows):
    lines = []
    for row in rows:
        lines.append(
            [
                ", ".join("%s %s" % (count(value), name) for name, value in row["options"].items()),
                count(row["events_per_s"]),
                times(row["ratio"]),
                micro(row["latency_us/p50"]),
                micro(row["latency_us/p99"]),
                times(row["server_cpu_us"]),
            ]
        )
    head = ["ProtoBuf:1, set-header", "events/s", "of first", "p50 µs", "p99 µs", "CPU µs"]
    table("Growth", head, lines)


def threads(rows):
    lines = []
    for row in rows:
        lines.append(
            [
                "%s, %s, %d" % (TITLES[row["protocol"]], row["case"], row["threads"]),
                count(row["events_per_s"]),
                times(row["ratios"]["events_per_s"]),
                micro(row["latency_us/mean"]),
                micro(row["latency_us/p50"]),
                micro(row["latency_us/p90"]),
                micro(row["latency_us/p99"]),
                times(row["ratios"]["latency_us/p99"]),
            ]
        )
    head = ["handlers on threads", "events/s", "of 1", "mean µs", "p50", "p90", "p99", "of 1"]
    table("Threads: 16 connections; 8 at 2,000 events/s beside 300/s that burn 1 ms", head, lines)


def open_loop(rows):
    lines = []
    for row in rows:
        for name in ("ours", "limit"):
            server = row["servers"][name]
            lines.append(
                ["%s, %s events/s, %s" % (TITLES[row["protocol"]], count(row["rate"]), name)]
                + [micro(server["latency_us/" + key]) for key in ("p50", "p99", "p99.9")]
                + [count(server["events_per_s"])]
            )
    head = ["open loop, 64 conn.", "p50 µs", "p99 µs", "p99.9 µs", "done/s"]
    table("At a fixed rate, latency from when an event was due", head, lines)


def memory(found, start):
    lines = [["resident when idle", size(found["idle_bytes"]), "4 MiB"]]
    for protocol, points in found["curve"].items():
        for connections, each in per_connection(points).items():
            name = "an idle connection of %s, %s" % (count(connections), TITLES[protocol])
            lines.append([name, size(each), "8,192 B"])
    lines.append(["an instance of 10,000", size(found["instance_bytes"]), "1,024 B"])
    events = found["events"]
    name = "growth over %s events" % count(events["count"])
    lines.append([name, size(events["growth_bytes"]), "0"])
    for name, key in (("from exec to listening", "listening"), ("dump", "dump")):
        both = (start[key + "_ms"], start[key + "_least_ms"])
        lines.append([name + ", median of 20 (least)", "%.2f ms (%.2f)" % both, "5 ms"])
    lines.append(["binary, stripped", size(start["binary_bytes"]), "1 MiB"])
    table("Memory (without the kernel's socket buffers) and start", ["", "", "at most"], lines)


def system_calls(rows):
    lines = [
        [
            "%s, set-header, %d conn." % (TITLES[row["protocol"]], row["connections"]),
            times(sum(row["calls"].values())),
            ", ".join("%s %.2f" % item for item in row["calls"].items()),
        ]
        for row in rows
    ]
    table("System calls per event (under strace)", ["", "all", ""], lines)


def instructions(found, committed=None):
    head = ["", "instructions"] + (["committed", "ratio"] if committed else [])
    lines = []
    for name, value in found.items():
        line = [name, count(value)]
        if committed:
            known = committed.get(name)
            line += [count(known), times(value / known)] if known else ["-", "-"]
        lines.append(line)
    table("Instructions per event in user space (callgrind, 1 connection)", head, lines)


def targets(pairs, sure):
    """What was aimed at, and what came out; without a verdict when the machine was busy."""
    lines = []
    for row in pairs:
        if row["protocol"] != "protobuf" or row["script"] != "set-header" or row["as_kong"]:
            continue
        ratios = row["ratios"]["limit"]
        if row["connections"] == 1:
            value, aim = ratios["latency_us/p50"], 1.10
            met = value <= aim
            what = "p50 of the limit's, at most"
        else:
            value, aim = ratios["events_per_s"], 0.85
            met = value >= aim
            what = "events/s of the limit's, at least"
        verdict = "?" if not sure else "met" if met else "missed"
        lines.append([_case(row) + ": " + what, times(aim), times(value), verdict])
    table("Targets", ["", "aim", "found", "" if sure else "busy"], lines)


def peers(rows):
    head = ["medians of runs that took turns", "events/s", "ours/it", "p50 µs", "ours/it", "p99 µs"]
    head += ["CPU µs"]
    lines = []
    for row in rows:
        if "resident_bytes" in row:
            continue
        server = row["servers"][row["server"]]
        ratios = row["ratios"][row["server"]]
        same = row["server"] == "ours"
        lines.append(
            [
                "%s, %d conn., %s, %s"
                % (row["script"], row["connections"], row["server"], TITLES[row["protocol"]]),
                count(server["events_per_s"]),
                "" if same else times(ratios["events_per_s"], 1),
                micro(server["latency_us/p50"]),
                "" if same else times(ratios["latency_us/p50"]),
                micro(server["latency_us/p99"]),
                times(server["server_cpu_us"], 1),
            ]
        )
    table("The same plugin on other plugin servers", head, lines)
    lines = [
        ["%s, %s" % (row["server"], row["script"]), size(row["resident_bytes"])]
        for row in rows
        if "resident_bytes" in row
    ]
    table("Resident memory after the load", ["", ""], lines)


def http(samples):
    base = next(iter(samples.values()))
    lines = [
        [
            name,
            count(measure.median(runs, "requests_per_s")),
            times(measure.ratio(runs, base, "requests_per_s")),
            micro(measure.median(runs, "p50_us")),
            micro(measure.median(runs, "p99_us")),
            sum(run["errors"] for run in runs),
        ]
        for name, runs in samples.items()
    ]
    head = ["wrk, 16 conn., 1 nginx worker", "requests/s", "of first", "p50 µs", "p99 µs", "errors"]
    table("HTTP through nginx, medians of runs that took turns", head, lines)


def kong(protocols):
    lines = []
    for protocol, samples in protocols.items():
        for name, runs in samples.items():
            base = samples.get(name.replace("declared", "off").replace("auto", "off"), runs)
            lines.append(
                [
                    "%s, %s" % (TITLES[protocol], name),
                    count(measure.median(runs, "requests_per_s")),
                    times(measure.ratio(runs, base, "requests_per_s")),
                    micro(measure.median(runs, "p50_us")),
                    micro(measure.median(runs, "p99_us")),
                    sum(run["errors"] for run in runs),
                ]
            )
    head = ["wrk, 1 worker of Kong", "requests/s", "of off", "p50 µs", "p99 µs", "errors"]
    table("Through Kong, DB-less, medians of runs that took turns", head, lines)


def document(figures):
    """All that a JSON file holds."""
    if "pairs" in figures:
        limit_pairs(figures["pairs"])
    if "prefetch" in figures:
        prefetch(figures["prefetch"])
    if "growth" in figures:
        growth(figures["growth"])
    if "threads" in figures:
        threads(figures["threads"])
    if "open" in figures:
        open_loop(figures["open"])
    if "memory" in figures:
        memory(figures["memory"], figures["startup"])
    if figures.get("system_calls"):
        system_calls(figures["system_calls"])
    if figures.get("instructions"):
        instructions(figures["instructions"])
    if "pairs" in figures:
        targets(figures["pairs"], figures["machine"]["other_work"] <= OtherWork.BUSY)
    if "peers" in figures:
        peers(figures["peers"])
    if "kong" in figures:
        kong(figures["kong"])
    if "http" in figures:
        http(figures["http"])
