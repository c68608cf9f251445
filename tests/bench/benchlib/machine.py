"""The machine and the source that figures belong to, and how busy the machine is with other work."""

import os
import platform
import resource
import subprocess
import time
import uuid


def _first(path, key):
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return None


def _git(*args):
    try:
        done = subprocess.run(
            ("git",) + args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        )
        return done.stdout.decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _compiler(build):
    """What the server was compiled with, from the binary itself."""
    try:
        done = subprocess.run(
            ("readelf", "-p", ".comment", os.path.join(build, "apiversion-server")),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown compiler"
    names = [
        line.split("]", 1)[1].strip()
        for line in done.stdout.decode(errors="replace").splitlines()
        if "]" in line
    ]
    # libraries that are linked in leave their own; clang says more than gcc's C library does
    clang = [name for name in names if "clang" in name]
    return (clang or names or ["unknown compiler"])[0]


def pin(count=2):
    """This process and all it starts stay on so many CPUs. The CPUs."""
    cpus = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, cpus)
    return cpus


def _busy_idle():
    with open("/proc/stat", encoding="ascii") as lines:
        fields = [int(field) for field in lines.readline().split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, idle


class OtherWork:
    """Which share of all CPUs worked for others since this was made, once all children ended."""

    BUSY = 0.10  # above this, times say little

    def __init__(self):
        self.cpu = _busy_idle()
        self.own = self._own()

    @staticmethod
    def _own():
        ticks = os.sysconf("SC_CLK_TCK")
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return sum(usage.ru_utime + usage.ru_stime for usage in (own, children)) * ticks

    def share(self):
        busy, idle = _busy_idle()
        busy -= self.cpu[0]
        idle -= self.cpu[1]
        return max(0.0, (busy - (self._own() - self.own)) / max(1, busy + idle))


def describe(build, cpus):
    model = _first("/proc/cpuinfo", "model name") or _first("/proc/cpuinfo", "CPU part")
    commit = _git("rev-parse", "--short=12", "HEAD") or "unknown"
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "run": uuid.uuid4().hex[:12],
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": model or "unknown",
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "cores_used": len(cpus),
        "kernel": platform.release(),
        "compiler": _compiler(build),
        "commit": commit + ("+changes" if changed else ""),
    }


def line(machine):
    return (
        "{cpu}, {cores} cores ({cores_used} used: load generator and server share them), "
        "Linux {kernel} {machine}, {compiler}, commit {commit}, {date}, run {run}".format(**machine)
    )
