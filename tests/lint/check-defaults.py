#!/usr/bin/env python3
"""What documents say of options' defaults, against what the program says.

usage: check-defaults.py SERVER DOCUMENT...

The defaults are those of SERVER --help-all. Documents give them in one of these forms, in which they are compared:

    `--event-timeout` (55 s)      1 MiB (`--max-config`)      `--prefetch auto`, the default
    `access` (default)            ProtoBuf:1 is the default   The default priority, 3000

A line that names an option and has the word "default" in no such form is a fault.
"""
import pathlib
import re
import subprocess
import sys

UNITS = {"K": 1 << 10, "M": 1 << 20, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
SIZE = r"\d+(?:,\d{3})*(?: ?(?:KiB|MiB|GiB|ms|s)\b)?"


def plain(text):
    """55 s and 55 are the same default, and so are 512 MiB and 512M; octal modes stay texts."""
    number = re.fullmatch(r"([1-9][\d,]*|0) ?(K|M|KiB|MiB|GiB|s)?", text.strip())
    if not number:
        return text.strip()
    return int(number.group(1).replace(",", "")) * UNITS.get(number.group(2), 1)


def defaults(server):
    told = subprocess.run([server, "--help-all"], check=True, capture_output=True, text=True).stdout
    found = {}
    for row in re.split(r"\n(?=  (?:-\w,|   ) --)", told):
        name = re.match(r"  (?:-\w,|   ) --([a-z-]+)", row)
        default = re.search(r"\(default ([^()]+)\)\s*(?:\n\n.*)?$", " ".join(row.split("\n\n")[0].split()))
        if name and default:
            found[name.group(1)] = plain(default.group(1))
    return found


def claims(line):
    """(option or None, value) of each default that a line tells."""
    for option, value in re.findall(rf"`--([a-z-]+)`,? \(({SIZE})\)", line):
        yield option, value
    for value, option in re.findall(rf"({SIZE}) \(`--([a-z-]+)`", line):
        yield option, value
    for option, value in re.findall(r"`--([a-z-]+) (\S+)`, the default", line):
        yield option, value
    for option, value in re.findall(rf"default ([a-z-]+), ({SIZE}|`\S+`)", line):
        yield option, value.strip("`")
    for value in re.findall(r"`?([\w:.]+)`?(?: \(default\)| is the default|, the default\b)", line):
        if f" {value}`, the default" not in line: # its option stands before it
            yield None, value


def main():
    known = defaults(sys.argv[1])
    if len(known) < 20:
        sys.exit(f"defaults: only {len(known)} seen in --help-all")
    bad, count = [], 0
    for name in sys.argv[2:]:
        for number, line in enumerate(pathlib.Path(name).read_text().splitlines(), 1):
            told = list(claims(line))
            count += len(told)
            for option, value in told:
                if option is None and plain(value) not in known.values():
                    bad.append(f"{name}:{number}: {value} is no option's default")
                elif option is not None and known.get(option) != plain(value):
                    bad.append(f"{name}:{number}: the default of --{option} is {known.get(option)}, not {value}")
            if not told and re.search(r"\bdefaults?\b", line) and re.search(rf"`--({'|'.join(known)})\b", line):
                bad.append(f"{name}:{number}: a default of an option in none of the forms of {sys.argv[0]}")
    for line in bad:
        print(f"defaults: {line}")
    if bad:
        sys.exit(1)
    if count < 5:
        sys.exit(f"defaults: only {count} seen")
    print(f"defaults: {count} in {len(sys.argv) - 2} documents, as {len(known)} options have them")


if __name__ == "__main__":
    main()
