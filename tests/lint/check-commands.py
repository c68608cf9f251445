#!/usr/bin/env python3
"""Which test runs each command of the documents, or why none does; and whether the options in them are there.

usage: check-commands.py TABLE OPTIONS-TABLE DOCUMENT...

TABLE has each line of the documents' `sh` blocks, without its comment, and below it, indented, one of

    run by FILE: TEXT       TEXT stands in FILE, a test; without TEXT the command itself does
    not run: WHY

A command that the table does not know is a fault, and so is a row that no document has any more. OPTIONS-TABLE is
server/cli/options_table.c: each `--option` of `inline code` must be there, or in OTHERS; of a document that is not Markdown each
behind "-server".
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# of docker, pkg-config, curl, tar and our tools kong-pdk-demo and kong-pdk-load
OTHERS = {"build-arg", "read-only", "tmpfs", "config", "cflags", "libs", "strip-components", "data", "args", "stay"}


def commands(document):
    """The commands of its sh blocks; a line that ends with a backslash goes on."""
    in_block, whole = False, ""
    for line in document.read_text().splitlines():
        if re.match(r"\s*```", line):
            in_block = re.match(r"\s*```sh$", line) is not None
        elif in_block:
            whole += line
            if whole.endswith("\\"):
                whole = whole[:-1]
                continue
            text = " ".join(re.sub(r"\s+#\s.*", "", whole).split())
            whole = ""
            if text:
                yield text


def read_table(path):
    """Command to (file, text) or to why it is not run."""
    rows, command = {}, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not line[0].isspace():
            command = line.strip()
            rows[command] = None
            continue
        run = re.match(r"\s+run by ([^:\s]+)(?:: (.+))?$", line)
        why = re.match(r"\s+not run: (\S.+)$", line)
        if command is None or not (run or why):
            sys.exit(f"commands: {path.name}:{number}: neither a command, nor who runs it, nor why nobody does")
        rows[command] = (run.group(1), run.group(2) or command) if run else why.group(1)
    return rows


def check_rows(rows, seen, table):
    for command, row in rows.items():
        if command not in seen:
            yield f"{table}: no document has: {command}"
        if row is None:
            yield f"{table}: who runs it? {command}"
        elif isinstance(row, tuple):
            file = ROOT / row[0]
            if not file.exists():
                yield f"{table}: there is no {row[0]}, which runs: {command}"
            elif row[1] not in file.read_text():
                yield f'{table}: {row[0]} does not have "{row[1]}", to run: {command}'


def check_options(known, names):
    for name in names:
        text = (ROOT / name).read_text()
        places = re.findall(r"`([^`\n]+)`", text) if name.endswith(".md") else re.findall(r"-server[ \",']([^|\n]*)", text)
        for place in places:
            for option in re.findall(r"(?:^|[\s(\"'])--([a-z][a-z-]*)", place):
                if option not in known:
                    yield f"{name}: there is no option --{option}"


def main():
    table, names = sys.argv[1], sys.argv[3:]
    options = (ROOT / sys.argv[2]).read_text()
    known = set(re.findall(r'\b[A-Z_]+\((?:\w+, )?"([a-z][a-z-]*)"', options))
    if len(known) < 40:
        sys.exit(f"commands: only {len(known)} options seen in {sys.argv[2]}")
    rows, seen, bad = read_table(ROOT / table), set(), []
    for name in names:
        if not name.endswith(".md"):
            continue
        for command in commands(ROOT / name):
            seen.add(command)
            if command not in rows:
                bad.append(f"{name}: no test is named for it in {table}: {command}")
    bad += check_rows(rows, seen, table)
    bad += check_options(known | OTHERS, names)
    for line in bad:
        print(f"commands: {line}")
    if len(seen) < 30:
        sys.exit(f"commands: only {len(seen)} seen")
    if bad:
        sys.exit(1)
    not_run = sum(isinstance(row, str) for row in rows.values())
    print(f"commands: {len(seen)} in {len(names)} documents, {len(seen) - not_run} run by tests, {not_run} marked why not")


if __name__ == "__main__":
    main()
