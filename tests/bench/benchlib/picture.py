"""The command of a script that makes a picture: `measure FILE.json`, then `draw FILE.json FILE.svg`."""

import argparse
import os
import sys

from .servers import Failed


def main(text, measure, draw, seconds=None):
    """`seconds`: so long `measure` takes, where it is not told. The exit status."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    command = commands.add_parser("measure")
    command.add_argument("file")
    command.add_argument("--build", default="build")
    if seconds is not None:
        command.add_argument("--seconds", type=int, default=seconds)
    command.set_defaults(work=measure)
    command = commands.add_parser("draw")
    command.add_argument("file")
    command.add_argument("svg")
    command.set_defaults(work=draw)
    options = parser.parse_args()
    try:
        options.work(options)
    except Failed as failed:
        print("%s: %s" % (os.path.basename(sys.argv[0]), failed), file=sys.stderr)
        return 1
    return 0
