#!/usr/bin/env python3
"""Looks at pictures that are made by programs.

usage: check-pictures.py FILE.svg...

Each must be well-formed XML, be smaller than 150 KB, say in words what it shows (title and desc), load nothing from
elsewhere and run nothing, and name no folder and no name of the machine that it was made on.
"""
import re
import socket
import sys
import xml.etree.ElementTree as tree

LARGEST = 150_000
SVG = "{http://www.w3.org/2000/svg}"
FOLDER = re.compile(r"/(?:home|root|tmp|work|var|opt|usr|mnt|build)/[\w.-]+")


def faults(name):
    with open(name, encoding="utf-8") as file:
        text = file.read()
    if len(text.encode()) > LARGEST:
        yield "is larger than %d bytes" % LARGEST
    try:
        root = tree.fromstring(text)
    except tree.ParseError as error:
        yield "is not well-formed: %s" % error
        return
    if root.tag != SVG + "svg" or "viewBox" not in root.attrib:
        yield "is no SVG with a viewBox"
    for what in ("title", "desc"):
        if not (root.findtext(SVG + what) or "").strip():
            yield "has no %s" % what
    for element in root.iter():
        if element.tag in (SVG + "script", SVG + "image", SVG + "foreignObject"):
            yield "has a <%s>" % element.tag[len(SVG):]
        for attribute, value in element.attrib.items():
            if attribute.startswith("on") or attribute.endswith("href") and not value.startswith("#"):
                yield "has %s=%s" % (attribute, value)
    # what is to be seen stands in pieces: one row of a terminal may be many elements
    words = text + "\n" + "\n".join("".join(element.itertext()) for element in root.iter(SVG + "text"))
    for folder in sorted(set(FOLDER.findall(words))):
        yield "names a folder of the machine: %s" % folder
    host = socket.gethostname()
    # a name that is a plain word may be meant as one
    if not host.isalpha() and re.search(r"(?<![\w.-])%s(?![\w-])" % re.escape(host), words):
        yield "names the machine, %s" % host


def main():
    bad = ["%s %s" % (name, fault) for name in sys.argv[1:] for fault in faults(name)]
    if bad or len(sys.argv) == 1:
        sys.exit("\n".join("pictures: " + line for line in bad or ["no file"]))
    print("pictures: %d, all in order" % (len(sys.argv) - 1))


if __name__ == "__main__":
    main()
