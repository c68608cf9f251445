#!/usr/bin/env python3
"""Finds circles of calls between source files: who needs which symbol of whom, as nm tells of the objects.

usage: check-circles.py OBJECT_DIRECTORY FILE.c...

A file that needs a function or a variable of another one stands above it. Two files that need each other, or a ring of
several, are a circle: it is printed with the symbols that close it, and the exit status is 1.
"""
import os
import subprocess
import sys


def symbols(path):
    """The global symbols that an object defines, and those that it needs."""
    defined, needed = set(), set()
    lines = subprocess.run(["nm", "-P", "-g", path], check=True, capture_output=True, text=True).stdout.splitlines()
    for line in lines:
        name, kind = line.split()[:2]
        (needed if kind in "Uwv" else defined).add(name)
    return defined, needed


def circles(edges):
    """Strongly connected components of more than one file (Tarjan's algorithm)."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for other in sorted(edges[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on_stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            members = []
            while not members or members[-1] != node:
                members.append(stack.pop())
                on_stack.discard(members[-1])
            if len(members) > 1:
                found.append(sorted(members))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def main():
    build, sources = sys.argv[1], sys.argv[2:]
    if len(sources) < 20:
        sys.exit(f"circles: only {len(sources)} files given")
    for source in sources:
        if not os.path.exists(f"{build}/{source.removesuffix('.c')}.o"):
            sys.exit(f"circles: {source} has no object in {build}: build first (make all)")
    tables = {source: symbols(f"{build}/{source.removesuffix('.c')}.o") for source in sources}
    home = {name: source for source, (defined, _) in tables.items() for name in defined}
    edges = {source: {} for source in sources}
    for source, (_, needed) in tables.items():
        for name in needed:
            other = home.get(name)
            if other and other != source:
                edges[source].setdefault(other, []).append(name)
    found = circles(edges)
    for members in found:
        print(f"circle of {len(members)} files:")
        for source in members:
            for other in sorted(set(edges[source]) & set(members)):
                print(f"  {source} needs {', '.join(sorted(edges[source][other]))} of {other}")
    # the same between rooms, where no file's circle shows it
    rooms = {}
    for source, needs in edges.items():
        room = source.rsplit("/", 1)[0]
        rooms.setdefault(room, {})
        for other, names in needs.items():
            if other.rsplit("/", 1)[0] != room:
                rooms[room].setdefault(other.rsplit("/", 1)[0], []).extend(f"{source}:{name}" for name in names)
    between = circles(rooms)
    for members in between:
        print(f"circle of rooms: {', '.join(members)}")
        for room in members:
            for other in sorted(set(rooms[room]) & set(members)):
                print(f"  {room} needs {other}: {', '.join(sorted(rooms[room][other])[:8])}")
    if found or between:
        sys.exit(1)
    print(f"circles: {len(sources)} files, {sum(map(len, edges.values()))} pairs of who needs whom, no circle")


if __name__ == "__main__":
    main()
