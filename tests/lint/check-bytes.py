#!/usr/bin/env python3
"""The bytes that a document shows are those of a recording: each block of lines "> hex" and "< hex" is found in one of the traces.

check-bytes.py DOCUMENT TRACE…
"""
import re
import sys

BYTES = re.compile(r"[<>] ((?:(?:[0-9a-f]{2})+ ?)+?)(?:  .*| *)$")


def joined(lines):
    """All that went over connection 1, one text: '>' and hex, '<' and hex, in order."""
    text, last = "", ""
    for direction, data in lines:
        text += ("" if direction == last else direction) + data.replace(" ", "")
        last = direction
    return text


def trace(path):
    with open(path, encoding="utf-8") as file:
        return joined(re.findall(r"^1 ([<>]) ([0-9a-f]+)$", file.read(), re.M))


def main(document, *paths):
    traces = {path: trace(path) for path in paths}
    with open(document, encoding="utf-8") as file:
        blocks = re.findall(r"^```\n(.*?)^```$", file.read(), re.M | re.S)
    blocks = [block.splitlines() for block in blocks if re.match(r"[<>] ", block)]
    if not blocks:
        sys.exit(f"{document}: shows no bytes")
    for block in blocks:
        matches = [(line, BYTES.match(line)) for line in block]
        bad = [line for line, match in matches if not match]
        if bad:
            sys.exit(f"{document}: no bytes in: {bad[0]}")
        shown = joined((line[0], match.group(1)) for line, match in matches)
        if not any(shown in text for text in traces.values()):
            sys.exit(f"{document}: in no recording: {block[0]} … {block[-1]}")
    print(f"bytes: {len(blocks)} conversations of {document}, each in a recording")


main(*sys.argv[1:])
