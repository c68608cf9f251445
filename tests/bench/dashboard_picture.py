#!/usr/bin/env python3
"""Draws the dashboard for Grafana without Grafana, out of real figures.

dashboard_picture.py measure FILE.json [--build DIR] [--seconds S]
    Two servers under load that changes, which a Prometheus scrapes (package prometheus); then each query of the
    dashboard, as Prometheus answers it.
dashboard_picture.py draw FILE.json FILE.svg
    The panels, where the dashboard has them.
"""

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True

from benchlib import picture, svg  # noqa: E402
from benchlib.servers import Failed, Server  # noqa: E402

DASHBOARD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../server/packaging/grafana/kong-plugin-server.json")
STEP = 2  # seconds between points
INTERVAL = "10s"  # over which rates are taken
ROWS_LEFT_OUT = ("Blocking functions", "Servers")  # of servers that use them; a table of versions
UNIT_X, UNIT_Y = 50, 27
# One after the other, again and again: (events/s, connections, for each of the two servers)
LOADS = ((150, 4), (400, 8), (250, 16), (600, 8), (100, 2))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(url, what, **parameters):
    with urllib.request.urlopen("%s/api/v1/%s?%s" % (url, what, urllib.parse.urlencode(parameters)), timeout=20) as answer:
        return json.load(answer)["data"]["result"]


def panels():
    with open(DASHBOARD, encoding="utf-8") as file:
        found = json.load(file)["panels"]
    found = [panel for panel in found if not panel["title"].startswith(ROWS_LEFT_OUT)]
    places = [panel["gridPos"] for panel in found]
    covered = {y for place in places for y in range(place["y"], place["y"] + place["h"])}
    for place in places: # no gap where panels are left out
        place["y"] = sum(y < place["y"] for y in covered)
    return found


def collect(url, seconds):
    end = time.time() - STEP
    answers = []
    for panel in panels():
        series = []
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", INTERVAL)
            query = query.replace("$plugin", ".*").replace("$instance", ".*")
            for found in ask(url, "query_range", query=query, start=end - seconds, end=end, step=STEP):
                name = re.sub(r"{{(\w+)}}", lambda match, of=found: of["metric"].get(match.group(1), ""), target["legendFormat"])
                points = [(round(at - end + seconds), float(value)) for at, value in found["values"]]
                series.append({"name": name, "points": [point for point in points if math.isfinite(point[1])]})
        answers.append({"id": panel["id"], "series": series})
    return answers


def load(build, server, script, number, end):
    """Starts one load, which outlives the measurement when its end is near."""
    rate, connections = LOADS[number % len(LOADS)]
    left = end - time.monotonic()
    command = [os.path.join(build, "bench", "load"), "--socket", server.path, "--plugin", server.plugin, "--script", script]
    command += ["--rate", str(rate), "--connections", str(connections), "--instances", "%d" % (1 + number % 3)]
    command += ["--seconds", "%d" % max(min(left + 8, 17 + 4 * (number % 2)), 8), "--warmup", "0", "--patience", "60"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def measure(options):
    if not shutil.which("prometheus"):
        raise Failed("no prometheus here (Debian: package prometheus)")
    directory = tempfile.mkdtemp(prefix="dashboard.")
    children, targets = [], []
    try:
        for number, (program, plugin) in enumerate((("apiversion-server", "api-version"), ("bench/bench-getters", "bench-getters"))):
            port = free_port()
            path = os.path.join(directory, plugin)
            command = [os.path.join(options.build, program), "--socket", path, "--log-level", "warn"]
            command += ["--metrics-listen", "127.0.0.1:%d" % port, "--busy-poll", "20" if number == 0 else "0"]
            children.append(Server(plugin, command, path, (), plugin))
            targets.append({"targets": ["127.0.0.1:%d" % port], "labels": {"instance": "kong-%d" % (number + 1)}})
        servers = list(children)
        config = os.path.join(directory, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as file:  # JSON is YAML
            json.dump({"global": {"scrape_interval": "%ds" % STEP}, "scrape_configs": [{"job_name": "kong", "static_configs": targets}]}, file)
        port = free_port()
        command = ["prometheus", "--config.file=" + config, "--storage.tsdb.path=" + os.path.join(directory, "tsdb")]
        with open(os.path.join(directory, "prometheus.log"), "wb") as log:
            prometheus = subprocess.Popen(command + ["--web.listen-address=127.0.0.1:%d" % port], stdout=log, stderr=log)
        try:
            running = drive(options, servers)
            answers = collect("http://127.0.0.1:%d" % port, options.seconds)
            for process in running:
                process.wait()
        finally:
            prometheus.send_signal(signal.SIGTERM)
            prometheus.wait()
    finally:
        for child in children:
            child.stop()
        shutil.rmtree(directory)
    with open(options.file, "w", encoding="utf-8") as file:
        json.dump({"seconds": options.seconds, "panels": answers}, file)


def drive(options, servers):
    """Keeps both servers under load that changes. The loads, which go on for some seconds more."""
    end = time.monotonic() + options.seconds + 12
    numbers, at_work = [0, 2], [None, None]
    while time.monotonic() < end:
        for index, (server, script) in enumerate(zip(servers, ("set-header", "getters"))):
            if at_work[index] is None or at_work[index].poll() is not None:
                if at_work[index] is not None and at_work[index].returncode != 0:
                    with open(server.log, encoding="utf-8") as log:
                        raise Failed("the load on %s went wrong; the server says: %s" % (server.name, log.read()))
                at_work[index] = load(options.build, server, script, numbers[index], end)
                numbers[index] += 1
        time.sleep(0.2)
    return at_work


def short(value, unit):
    """A value as Grafana writes it."""
    if unit == "percentunit":
        return "%.3g %%" % (100 * value)
    if unit == "s":
        for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
            if value * factor >= 1 or name == "µs":
                return "%.3g %s" % (value * factor, name)
    if unit in ("bytes", "Bps"):
        for factor, name in ((1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")):
            if value >= factor or factor == 1:
                return "%.3g %s%s" % (value / factor, name, "/s" if unit == "Bps" else "")
    return ("%.0f" % value if value >= 100 else "%.3g" % value) + ("/s" if unit == "reqps" else "")


def ceiling(value, unit):
    """The next number of 1, 2 or 5 with zeros, of bytes in their unit."""
    if value <= 0:
        return 1.0
    if unit in ("bytes", "Bps") and value >= 1024:
        return 1024 * ceiling(value / 1024, unit)
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999)


def legend(picture, series, x, y, width, lines):
    """Names under a panel; what does not fit in is counted."""
    left, line = x, 0
    for number, (colour, name) in enumerate(series):
        needed = 6.1 * len(name) + 22
        last = number + 1 == len(series)
        room = width if last or line + 1 < lines else width - 60
        if left > x and left + needed > x + room:
            left, line = x, line + 1
        if line == lines:
            picture.text(x + width, y + 14 * (lines - 1), "and %d more" % (len(series) - number), font_size=10, text_anchor="end")
            return
        picture.rect(left, y + 14 * line - 7, 10, 4, fill=colour)
        picture.text(left + 14, y + 14 * line, name, font_size=10)
        left += needed


def chart(picture, box, panel, series, seconds):
    x, y, width, height = box
    left, top, bottom = x + 62, y + 34, y + height - 44
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit")
    top_value = ceiling(max((value for one in series for _, value in one["points"]), default=0), unit)
    for part in (0, 0.5, 1):
        at = bottom - part * (bottom - top)
        picture.grid(left, at, x + width - 12 - left)
        picture.text(left - 6, at + 4, short(part * top_value, unit), font_size=10, text_anchor="end")
    scale = (x + width - 12 - left) / seconds
    named = []
    for number, one in enumerate(series):
        colour = svg.COLOURS[number % len(svg.COLOURS)]
        picture.line([(left + at * scale, bottom - value / top_value * (bottom - top)) for at, value in one["points"]], colour)
        named.append((colour, one["name"]))
    if not any(one["points"] for one in series):
        picture.text(x + width / 2, (top + bottom) / 2 + 4, "no data: it did not happen", text_anchor="middle", font_size=12)
    legend(picture, named, x + 12, y + height - 26, width - 24, 2)


def heatmap(picture, box, series, seconds):
    """One row for each bucket that has events: the darker, the more."""
    x, y, width, height = box
    left, top, bottom = x + 62, y + 34, y + height - 20
    buckets = sorted(((float(one["name"].replace("+Inf", "inf")), dict(map(tuple, one["points"]))) for one in series), key=lambda pair: pair[0])
    rows, below = [], {}
    for edge, points in buckets:
        rows.append((edge, {at: value - below.get(at, 0) for at, value in points.items()}))
        below = points
    rows = [(edge, points) for edge, points in rows if any(value >= 0.5 for value in points.values())]
    most = max((value for _, points in rows for value in points.values()), default=1)
    tall = (bottom - top) / max(len(rows), 1)
    wide = (x + width - 12 - left) * STEP / seconds
    for number, (edge, points) in enumerate(rows):
        at = bottom - (number + 1) * tall
        picture.text(left - 6, at + tall / 2 + 4, "≤ " + short(edge, "s") if math.isfinite(edge) else "more", font_size=10, text_anchor="end")
        for when, value in points.items():
            if value >= 0.5 and when < seconds:
                strength = "%.2f" % max(0.1, (value / most) ** 0.5)
                picture.rect(left + when / STEP * wide, at + 0.5, wide - 0.5, tall - 1, fill=svg.BLUE, fill_opacity=strength)


def draw(options):
    with open(options.file, encoding="utf-8") as file:
        answers = json.load(file)
    series = {panel["id"]: panel["series"] for panel in answers["panels"]}
    wanted = [panel for panel in panels() if panel["id"] in series]
    tall = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in wanted) * UNIT_Y
    about = "Drawn by a script out of the figures of two servers under load, as Prometheus answers the dashboard's queries."
    picture = svg.Picture(24 * UNIT_X + 10, tall + 10, "The dashboard for Grafana", about)
    for panel in wanted:
        at = panel["gridPos"]
        box = (at["x"] * UNIT_X + 8, at["y"] * UNIT_Y + 5, at["w"] * UNIT_X - 6, at["h"] * UNIT_Y - 6)
        x, y, width, height = box
        if panel["type"] == "row":
            picture.text(x + 4, y + 17, panel["title"], class_="name")
            continue
        picture.rect(x, y, width, height, class_="box", rx=4)
        picture.text(x + 12, y + 21, panel["title"], font_size=13, font_weight=600)
        found = series[panel["id"]]
        if panel["type"] == "stat":
            unit = panel["fieldConfig"]["defaults"].get("unit")
            value = short(found[0]["points"][-1][1], unit) if found and found[0]["points"] else "no data"
            picture.text(x + width / 2, y + height - 24, value, text_anchor="middle", style="font-size:32px;font-weight:600;fill:" + svg.BLUE)
        elif panel["type"] == "heatmap":
            heatmap(picture, box, found, answers["seconds"])
        else:
            chart(picture, box, panel, found, answers["seconds"])
    picture.save(options.svg)


if __name__ == "__main__":
    sys.exit(picture.main(__doc__, measure, draw, seconds=120))
