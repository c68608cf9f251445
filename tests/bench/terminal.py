#!/usr/bin/env python3
"""Records a command in a terminal, and draws the recording.

terminal.py record FILE.cast [--columns N] [--rows N] [--seconds S] [--shown WORDS] -- COMMAND...
    Runs COMMAND in a pseudo-terminal and writes what it prints as an asciicast, version 2. After --seconds it types
    Ctrl-C, and the recording ends. The recording begins with a prompt at which --shown is typed (default: COMMAND).
terminal.py render FILE.cast FILE.svg --title WORDS [--pause S] [--least S]
    Draws it as an SVG that moves without scripts, by CSS. Pauses are at most --pause seconds, and lines stay at least
    --least seconds, so that they can be read. Who does not want
    movement, and a program that knows no CSS, gets the last screen.
"""

import argparse
import codecs
import fcntl
import json
import os
import pty
import re
import select
import shlex
import struct
import sys
import termios
import time
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True

from benchlib import svg  # noqa: E402

TYPED = 0.06  # seconds between the letters of the command
TOGETHER = 0.02  # what is printed within so long is one picture
HELD = 3.0  # the last one
TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([\r\n\b\t])|([^\x1b\r\n\b\t]+)|\x1b")
COLOURS = {31: "r", 91: "r", 32: "g", 92: "g", 33: "y", 93: "y", 34: "b", 94: "b"}
STYLE = """.win { fill: #10151c; stroke: #7a8490 }
    text { fill: #c9d1d9; white-space: pre }
    .B { font-weight: 700; fill: #fff } .g { fill: #3fb950 } .r { fill: #f85149 } .y { fill: #d29922 } .b { fill: #58a6ff }"""
COLUMN, LINE, MARGIN = 7.8, 18, 14


class Screen:
    """As much of a terminal as our programs use."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.style = ("", "")
        self.clear()

    def clear(self):
        self.cells = [[] for _ in range(self.rows)]
        self.x = self.y = 0

    def feed(self, words):
        for parameters, letter, control, text in (match.groups() for match in TOKEN.finditer(words)):
            if letter:
                self._sequence(parameters, letter)
            elif control:
                self._control(control)
            else:
                for char in text or "":
                    self._put(char)

    def _control(self, control):
        if control == "\r":
            self.x = 0
        elif control == "\n":
            self._down()
        elif control == "\b":
            self.x = max(self.x - 1, 0)
        else:
            self.x = min(self.x + 8 - self.x % 8, self.columns - 1)

    def _down(self):
        self.y += 1
        if self.y == self.rows:
            self.cells = self.cells[1:] + [[]]
            self.y -= 1

    def _put(self, char):
        if self.x == self.columns:
            self.x = 0
            self._down()
        row = self.cells[self.y]
        row.extend((" ", ("", "")) for _ in range(self.x + 1 - len(row)))
        row[self.x] = (char, self.style)
        self.x += 1

    def _sequence(self, parameters, letter):
        numbers = [int(part) for part in parameters.split(";") if part.isdigit()] or [0]
        if letter == "m":
            bold, colour = self.style
            for number in numbers:
                if number == 0:
                    bold, colour = "", ""
                elif number in (1, 22):
                    bold = "B" if number == 1 else ""
                elif number in COLOURS or number == 39:
                    colour = COLOURS.get(number, "")
            self.style = (bold, colour)
        elif letter == "H":
            self.y = min(max(numbers[0], 1), self.rows) - 1
            self.x = min(max((numbers + [1])[1], 1), self.columns) - 1 if len(numbers) > 1 else 0
        elif letter == "J":
            at = (self.x, self.y)
            self.cells = [[] for _ in range(self.rows)] if numbers[0] == 2 else self.cells[: self.y + 1]
            self.cells += [[] for _ in range(self.rows - len(self.cells))]
            self.x, self.y = at
        elif letter == "K":
            self.cells[self.y] = self.cells[self.y][: self.x]

    def shown(self):
        """Each row as SVG: letters, and those in another style within a tspan."""
        return tuple(_row(cells) for cells in self.cells)


def _row(cells):
    runs = []
    for char, style in cells:
        if runs and runs[-1][1] == style:
            runs[-1][0] += char
        else:
            runs.append([char, style])
    written = "".join(
        '<tspan class="%s">%s</tspan>' % (" ".join(style).strip(), escape(text)) if any(style) else escape(text)
        for text, style in runs
    )
    return written if written.strip() else ""


def _typed(words):
    """Somebody at a prompt."""
    events, now = [[0.0, "o", "$ "]], 0.6
    for letter in words:
        now += TYPED
        events.append([round(now, 3), "o", letter])
    return events + [[round(now + 0.3, 3), "o", "\r\n"]]


def _environment():
    """What the command sees: a make in it is one that somebody types, but with the same variables."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "NO_COLOR", "COLUMNS", "LINES")}
    environment["TERM"] = "xterm-256color"
    flags = re.sub(r"(^|\s)(-j\S*|--jobserver-\S+|--no-print-directory|w)(?=\s|$)", " ", environment.get("MAKEFLAGS", ""))
    environment["MAKEFLAGS"] = flags
    return environment


def record(options):
    events = _typed(options.shown or shlex.join(options.command))
    begin = events[-1][0]
    pid, master = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", options.rows, options.columns, 0, 0))
        os.execvpe(options.command[0], options.command, _environment())
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    start = time.monotonic()
    interrupt = start + options.seconds
    while True:
        if time.monotonic() >= interrupt:
            os.write(master, b"\x03")
            interrupt = float("inf")
        if not select.select([master], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:  # how Linux says that nobody writes any more
            break
        if not data:
            break
        if interrupt < float("inf"):  # the program's last screen, not ^C on it
            events.append([round(begin + time.monotonic() - start, 3), "o", decode(data)])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    header = {"version": 2, "width": options.columns, "height": options.rows}
    with open(options.file, "w", encoding="utf-8") as file:
        for line in [header] + events:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    if status not in (0, -2, 130):
        raise SystemExit("terminal: %s ended with status %d" % (shlex.join(options.command), status))


def frames(path, pause, least):
    """[(seconds, rows)], each different from the one before; and the columns."""
    with open(path, encoding="utf-8") as lines:
        header = json.loads(next(lines))
        events = [json.loads(line) for line in lines]
    screen, found, now, last = Screen(header["width"], header["height"]), [], 0.0, 0.0
    for number, (at, kind, words) in enumerate(events):
        gap, last = at - last, at
        lines = words.endswith("\n") and gap >= TOGETHER
        now += max(min(gap, pause), least if lines else 0)
        if kind != "o":
            continue
        screen.feed(words)
        more = number + 1 < len(events) and events[number + 1][0] - at < TOGETHER
        rows = screen.shown()
        if not more and (not found or found[-1][1] != rows):
            found.append((now, rows))
    return found, header["width"]


def _animation(number, shown, times, end):
    """Keyframes of what is to be seen in the frames `shown`, of which each lasts till the next one."""
    states = [(at, frame in shown) for frame, at in enumerate(times)]
    steps = [states[0]] + [now for before, now in zip(states, states[1:]) if before[1] != now[1]]
    keys = "".join("%.2f%%{visibility:%s}" % (100 * at / end, "visible" if on else "hidden") for at, on in steps)
    resting = "visible" if states[-1][1] else "hidden"
    return ".a%d{visibility:%s;animation:k%d %.1fs step-end infinite}@keyframes k%d{%s}" % (
        number, resting, number, end, number, keys
    )


def render(options):
    found, columns = frames(options.file, options.pause, options.least)
    times = [at - found[0][0] for at, _ in found]
    end = times[-1] + HELD
    height = max(max((y for y, row in enumerate(rows) if row), default=0) for _, rows in found) + 1
    seen = {}  # (row, what stands there): the frames in which it does
    for frame, (_, rows) in enumerate(found):
        for y, row in enumerate(rows):
            if row:
                seen.setdefault((y, row), set()).add(frame)
    groups = {}
    for (y, row), shown in sorted(seen.items()):
        groups.setdefault(tuple(sorted(shown)), []).append((y, row))
    moving = [shown for shown in groups if len(shown) < len(found)]
    css = [_animation(number, set(shown), times, end) for number, shown in enumerate(moving)]
    still = "@media (prefers-reduced-motion:reduce){g{animation:none!important}}"
    width, tall = columns * COLUMN + 2 * MARGIN, height * LINE + 2 * MARGIN
    style = "\n    ".join([STYLE] + css + [still])
    picture = svg.Picture(width, tall, options.title, "A recording of a terminal.", style, 13)
    picture.rect(0.5, 0.5, width - 1, tall - 1, rx=8, class_="win")
    for shown, rows in groups.items():
        name = ' class="a%d"' % moving.index(shown) if shown in moving else ""
        picture.add('<g%s font-family="%s">' % (name, svg.MONO))
        for y, row in rows:
            letters = len(re.sub(r"<[^>]*>|&\w+;", lambda match: "" if match.group()[0] == "<" else "x", row))
            picture.add(
                '<text xml:space="preserve" x="%s" y="%d" textLength="%s" lengthAdjust="spacingAndGlyphs">%s</text>'
                % (MARGIN, MARGIN + (y + 1) * LINE - 5, svg.number(letters * COLUMN), row)
            )
        picture.add("</g>")
    picture.save(options.svg)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    command = commands.add_parser("record")
    command.add_argument("file")
    command.add_argument("--columns", type=int, default=100)
    command.add_argument("--rows", type=int, default=30)
    command.add_argument("--seconds", type=float, default=60)
    command.add_argument("--shown")
    command.add_argument("command", nargs="+")
    command.set_defaults(work=record)
    command = commands.add_parser("render")
    command.add_argument("file")
    command.add_argument("svg")
    command.add_argument("--title", required=True)
    command.add_argument("--pause", type=float, default=1.5)
    command.add_argument("--least", type=float, default=0)
    command.set_defaults(work=render)
    options = parser.parse_args()
    options.work(options)


if __name__ == "__main__":
    main()
