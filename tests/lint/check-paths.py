#!/usr/bin/env python3
"""Looks for links and paths in the documents that lead nowhere.

usage: check-paths.py FILE.md...

Each relative link of Markdown must lead to a file, and to a heading of it where it names one. A path of this repository
in `backquotes` (it begins with proto/, server/, plugins/ or tests/) must exist; * stands for any name, and then at least one must.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:proto|server|plugins|tests)(?:/[\w.*-]+)*/?)`")


def anchors(path):
    """The names that GitHub gives to the headings of a document."""
    names = set()
    for line in path.read_text().splitlines():
        heading = re.match(r"#+ (.*)", line)
        if heading:
            text = re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading.group(1)).strip().lower()
            names.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return names


def main():
    bad, links, paths = [], 0, 0
    for name in sys.argv[1:]:
        document = ROOT / name
        text = re.sub(r"```.*?```", "", document.read_text(), flags=re.S)
        for target in LINK.findall(text):
            if re.match(r"[a-z]+:", target):
                continue
            links += 1
            file, _, anchor = target.partition("#")
            there = (document.parent / file) if file else document
            if not there.exists():
                bad.append(f"{name}: the link {target} leads nowhere")
            elif anchor and there.suffix == ".md" and anchor not in anchors(there):
                bad.append(f"{name}: {target}: no such heading")
        for path in PATH.findall(text):
            paths += 1
            if not (any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists()):
                bad.append(f"{name}: there is no {path}")
    for line in bad:
        print(f"paths: {line}")
    if paths < 50:
        sys.exit(f"paths: only {paths} seen")
    if bad:
        sys.exit(1)
    print(f"paths: {links} links and {paths} paths in {len(sys.argv) - 1} documents, all there")


if __name__ == "__main__":
    main()
