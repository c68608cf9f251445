#!/usr/bin/env python3
"""Tests of the scripts that make pictures, and of the check on what they made."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as tree

sys.dont_write_bytecode = True

import dashboard_picture  # noqa: E402
import event_time  # noqa: E402
import terminal  # noqa: E402
from benchlib import pictures, svg  # noqa: E402

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lint/check-pictures.py")


class Terminal(unittest.TestCase):
    def shown(self, words, rows=3):
        screen = terminal.Screen(10, rows)
        screen.feed(words)
        return screen.shown()

    def test_lines_and_colours(self):
        self.assertEqual(self.shown("a<b\r\n\x1b[1;32mgo\x1b[0m on"), ("a&lt;b", '<tspan class="B g">go</tspan> on', ""))

    def test_scrolls_wraps_and_clears(self):
        self.assertEqual(self.shown("1\r\n2\r\n3\r\n4"), ("2", "3", "4"))
        self.assertEqual(self.shown("0123456789ab"), ("0123456789", "ab", ""))
        self.assertEqual(self.shown("old\r\nold\x1b[H\x1b[2Jnew"), ("new", "", ""))
        self.assertEqual(self.shown("long\rx\x1b[K"), ("x", "", ""))

    def test_records_and_renders(self):
        with tempfile.TemporaryDirectory() as directory:
            cast, picture = (os.path.join(directory, name) for name in ("t.cast", "t.svg"))
            command = [sys.executable, terminal.__file__, "record", cast, "--columns", "40", "--rows", "5", "--shown", "greet"]
            subprocess.run(command + ["--", "sh", "-c", "stty size; echo 'a & b'"], check=True)
            with open(cast, encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
            self.assertEqual((lines[0]["version"], lines[0]["width"], lines[0]["height"]), (2, 40, 5))
            self.assertEqual("".join(words for _, _, words in lines[1:]), "$ greet\r\n5 40\r\na & b\r\n")
            subprocess.run([sys.executable, terminal.__file__, "render", cast, picture, "--title", "t"], check=True)
            subprocess.run([CHECK, picture], check=True, stdout=subprocess.DEVNULL)
            with open(picture, encoding="utf-8") as file:
                self.assertIn(">a &amp; b</text>", file.read())

    def test_moves_as_recorded(self):
        """At any time the picture shows the screen of that time, and at rest the last one."""
        lines = [{"version": 2, "width": 20, "height": 3}, [0, "o", "$ "], [0.5, "o", "go\r\n"], [9, "o", "a\r\nb\r\n"]]
        lines += [[9.5, "o", "\x1b[H\x1b[2Jb\r\nb\r\n"], [10, "o", "c"]]
        with tempfile.TemporaryDirectory() as directory:
            cast, picture = (os.path.join(directory, name) for name in ("t.cast", "t.svg"))
            with open(cast, "w", encoding="utf-8") as file:
                file.write("\n".join(map(json.dumps, lines)))
            subprocess.run([sys.executable, terminal.__file__, "render", cast, picture, "--title", "t", "--pause", "1"], check=True)
            found, _ = terminal.frames(cast, 1, 0)
            with open(picture, encoding="utf-8") as file:
                text = file.read()
        self.assertEqual([at for at, _ in found], [0, 0.5, 1.5, 2, 2.5])
        end = found[-1][0] + terminal.HELD
        steps = {number: re.findall(r"([\d.]+)%{visibility:(\w+)}", keys) for number, keys in re.findall(r"@keyframes k(\d+){(.*?})}", text)}
        resting = dict(re.findall(r"\.a(\d+){visibility:(\w+);", text))
        for at, rows in found:
            share = 100 * (at + 0.1) / end
            now = {number: [on for step, on in keys if float(step) <= share][-1] for number, keys in steps.items()}
            self.assertEqual(self.seen(text, now), [row for row in rows if row])
        self.assertEqual(self.seen(text, resting), ["b", "b", "c"])

    def seen(self, text, states):
        """The rows that can be seen, from the top."""
        rows = []
        for group in tree.fromstring(text).iter("{http://www.w3.org/2000/svg}g"):
            if states.get(group.get("class", "")[1:], "visible") == "visible":
                rows += [(int(row.get("y")), row.text) for row in group]
        return [row for _, row in sorted(rows)]


class Figures(unittest.TestCase):
    def test_callgrind(self):
        """Each line's cost belongs to the file that it is of; that of a call was counted where it arose."""
        with tempfile.NamedTemporaryFile("w", suffix=".out") as out:
            out.write("ob=(1) /b/server\nfl=(1) server/rpc/a.c\nfn=(1) a\n1 10\ncfi=(2) proto/c.c\ncfn=(2) c\ncalls=1 5\n2 700\n")
            out.write("fi=(3) server/base/b.h\n3 4\nfe=(1)\n+1 5\nfn=(2)\nfl=(2)\n5 700\nob=(2) /lib/libc.so.6\nfl=(4) ???\n0 20\n")
            out.write("ob=(1)\nfn=(3) uv_run\n0 30\n")
            out.flush()
            found = event_time.read_callgrind(out.name)
        self.assertEqual(
            dict(found),
            {"the conversation with Kong": 15, "the loop, limits, figures": 4, "decode and encode": 700, "the C library": 20, "libuv": 30},
        )

    def test_numbers(self):
        self.assertEqual(dashboard_picture.short(0.00025, "s"), "250 µs")
        self.assertEqual(dashboard_picture.short(3 << 19, "Bps"), "1.5 MiB/s")
        self.assertEqual(dashboard_picture.ceiling(33, "none"), 50)
        self.assertEqual(dashboard_picture.ceiling(3000, "bytes"), 5 * 1024)


class Check(unittest.TestCase):
    def says(self, change):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "p.svg")
            pictures.chart(path, "a < b", ("x", "y"), [("one", svg.BLUE, "7 4", [(1, 2), (2, 3)])])
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(change(text))
            done = subprocess.run([CHECK, path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
            return done.stderr.decode()

    def test_finds_faults(self):
        self.assertEqual(self.says(lambda text: text), "")
        for what, change in (
            ("not well-formed", lambda text: text.replace("</svg>", "")),
            ("names a folder of the machine: /home/me", lambda text: text.replace(">one<", ">/ho<tspan>me/me</tspan><")),
            ("has a <script>", lambda text: text.replace("</svg>", "<script/></svg>")),
            ("has no title", lambda text: text.replace(">a &lt; b</title>", "></title>")),
            ("larger", lambda text: text.replace("</svg>", " " * 150000 + "</svg>")),
        ):
            self.assertIn(what, self.says(change))


if __name__ == "__main__":
    unittest.main()
