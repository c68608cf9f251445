"""Pictures: SVG files next to the JSON, drawn here."""

import math
import os

from . import svg
from .sections import TITLES

COLOURS = {
    ("ours", "protobuf"): "#2f81f7",
    ("ours", "msgpack"): "#d9480f",
    ("limit", "protobuf"): "#8b949e",
    ("limit", "msgpack"): "#c9a58a",
}
DASHES = ("", "7 4", "2 3")
WIDTH, HEIGHT = 960, 420
LEFT, RIGHT, TOP, BOTTOM = 80, 730, 46, 366


def _ticks(most):
    """Round steps from 0, at most eight."""
    step = 10 ** math.floor(math.log10(most)) if most > 0 else 1
    for factor in (0.2, 0.5, 1, 2):
        if most / (step * factor) <= 8:
            step *= factor
            break
    return [step * i for i in range(int(most / step) + 1)]


class Axis:
    """From values to places. `log`: with this base, else from 0."""

    def __init__(self, values, low, high, log=None):
        self.low, self.high, self.log = low, high, log
        if log:
            first = math.floor(math.log(min(values), log))
            last = max(first + 1, math.ceil(math.log(max(values), log)))
            self.ticks = [log**i for i in range(first, last + 1)]
            self.span = (first, last)
        else:
            self.ticks = _ticks(max(values))
            self.span = (0, max(max(values), self.ticks[-1]) or 1)

    def place(self, value):
        value = math.log(value, self.log) if self.log else value
        share = (value - self.span[0]) / (self.span[1] - self.span[0])
        return self.low + share * (self.high - self.low)


def _grid(picture, x, y):
    for tick in y.ticks:
        at = y.place(tick)
        picture.grid(LEFT, at, RIGHT - LEFT)
        picture.text(LEFT - 8, at + 4, "{:,g}".format(tick), text_anchor="end")
    for tick in x.ticks:
        picture.text(x.place(tick), BOTTOM + 18, "{:,g}".format(tick), text_anchor="middle")
    picture.add('<path class="box" d="M%d %dV%dH%d"/>' % (LEFT, TOP, BOTTOM, RIGHT))


def chart(path, title, labels, lines, log_x=None, log_y=None):
    """lines: [(name, colour, dash, [(x, y)])]; labels: of both axes."""
    points = [point for line in lines for point in line[3]]
    if not points:
        return
    x = Axis([point[0] for point in points], LEFT, RIGHT, log_x)
    y = Axis([point[1] for point in points], BOTTOM, TOP, log_y)
    about = "%s against %s: %s" % (labels[1], labels[0], "; ".join(line[0] for line in lines))
    picture = svg.Picture(WIDTH, HEIGHT, title, about, size=13)
    middle = (LEFT + RIGHT) / 2
    picture.text(middle, 24, title, class_="name", text_anchor="middle")
    picture.text(middle, HEIGHT - 12, labels[0], text_anchor="middle")
    picture.text(16, 206, labels[1], text_anchor="middle", transform="rotate(-90 16 206)")
    _grid(picture, x, y)
    for number, (name, colour, dash, line) in enumerate(lines):
        picture.line([(x.place(a), y.place(b)) for a, b in line], colour, dash)
        at = TOP + 10 + 20 * number
        picture.line([(RIGHT + 14, at), (RIGHT + 40, at)], colour, dash)
        picture.text(RIGHT + 46, at + 4, name)
    picture.save(path)


def _points(curve, protocol, server, value):
    return [
        (point["connections"], value(point))
        for point in curve
        if point["protocol"] == protocol and point["server"] == server
    ]


def throughput(curve, path, title):
    lines = []
    for dash, protocol in zip(DASHES, ("protobuf", "msgpack")):
        for server in ("ours", "limit"):
            points = _points(curve, protocol, server, lambda point: point["events_per_s"])
            name = "%s, %s" % (TITLES[protocol], server)
            lines.append((name, COLOURS[server, protocol], dash, points))
    labels = ("connections, one event under way each", "events/s")
    chart(path, title, labels, lines, log_x=2)


def latency(curve, path, title):
    lines = []
    for dash, key in zip(DASHES, ("p50", "p99", "p99.9")):
        for server in ("ours", "limit"):
            points = _points(
                curve, "protobuf", server, lambda point, key=key: point["latency_us/" + key]
            )
            lines.append(("%s, %s" % (key, server), COLOURS[server, "protobuf"], dash, points))
    labels = ("connections, one event under way each", "µs")
    chart(path, title, labels, lines, log_x=2, log_y=10)


def memory(curve, path, title):
    lines = [
        (TITLES[protocol], COLOURS["ours", protocol], dash, [(x, y / (1 << 20)) for x, y in points])
        for dash, (protocol, points) in zip(DASHES, curve.items())
    ]
    chart(path, title, ("idle connections", "MiB resident"), lines)


def draw(figures, directory):
    """The files that were written."""
    machine = "%s, %d cores" % (figures["machine"]["cpu"], figures["machine"]["cores_used"])
    names = [os.path.join(directory, name + ".svg") for name in ("throughput", "latency", "memory")]
    throughput(figures["curve"], names[0], "set-header, events/s (%s)" % machine)
    latency(figures["curve"], names[1], "set-header, ProtoBuf:1, latency (%s)" % machine)
    memory(figures["memory"]["curve"], names[2], "resident memory of the server")
    return [name for name in names if os.path.exists(name)]
