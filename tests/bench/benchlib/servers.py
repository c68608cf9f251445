"""Starting, watching and ending plugin servers."""

import os
import shutil
import signal
import socket
import subprocess
import time

PATIENCE = 60.0


class Failed(Exception):
    """Said in one line."""


class Server:
    """A running plugin server. `name` is what tables call it."""

    def __init__(self, name, command, path, protocols, plugin="api-version", fields=""):
        self.name = name
        self.path = path
        self.protocols = protocols
        self.plugin = plugin
        self.fields = fields
        self.log = path + ".log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait()

    def _wait(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(self.path)
                    return
                except OSError:
                    time.sleep(0.01)
        self.stop()
        with open(self.log, encoding="utf-8", errors="replace") as log:
            last = log.read().strip().splitlines()[-1:]
        raise Failed("%s does not listen: %s" % (self.name, "".join(last)))

    def pids(self):
        """The process and its children."""
        found = [self.process.pid]
        for pid in found:
            try:
                for task in os.listdir("/proc/%d/task" % pid):
                    with open("/proc/%d/task/%s/children" % (pid, task), encoding="ascii") as file:
                        found += [int(child) for child in file.read().split()]
            except OSError:
                pass
        return found

    def resident(self):
        """Bytes of memory that are resident, the C library's pages and all."""
        total = 0
        for pid in self.pids():
            with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as lines:
                for line in lines:
                    if line.startswith("VmRSS:"):
                        total += int(line.split()[1]) * 1024
        return total

    def stop(self, pid=None):
        """Ends it; `pid`: which process is told, when it is not the one that was started."""
        if self.process.poll() is None:
            os.kill(pid or self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Bench:
    """Where binaries and sockets are; starts servers and ends them all."""

    SCRIPTS = {
        "set-header": "api-version",
        "getters": "bench-getters",
        "ten-getters": "bench-ten",
        "body": "bench-body",
    }

    def __init__(self, build, directory):
        self.build = os.path.abspath(build)
        self.directory = directory
        self.running = []

    def tool(self, name):
        return os.path.join(self.build, "bench", name)

    def socket(self, name):
        return os.path.join(self.directory, name)

    def command(self, script, path):
        """Our server."""
        if script == "set-header":
            program = os.path.join(self.build, "apiversion-server")
        else:
            program = self.tool(self.SCRIPTS[script])
        return [program, "--socket", path, "--log-level", "warn"]

    def stripped(self, program):
        """A copy without debugging information: valgrind cannot read all that clang writes."""
        copy = self.socket(os.path.basename(program) + ".stripped")
        if not os.path.exists(copy):
            subprocess.run(("strip", "-o", copy, program), check=True)
        return copy

    def _started(self, server):
        self.running.append(server)
        return server

    def ours(self, script="set-header", wrap=(), name="ours", more=(), whole=False):
        """`more`: options; `whole`: the wrapper gets the program with its debugging information."""
        path = self.socket("%s-%s" % (name, script))
        command = self.command(script, path) + list(more)
        if wrap:
            program = command[0] if whole else self.stripped(command[0])
            command = list(wrap) + [program] + command[1:]
        plugin = self.SCRIPTS[script]
        return self._started(Server(name, command, path, ("protobuf", "msgpack"), plugin))

    def threads(self, count):
        """A plugin of ours that can burn time, on so many threads."""
        path = self.socket("busy-%d" % count)
        command = [self.tool("bench-busy"), "--socket", path, "--log-level", "warn"]
        command += ["--threads", "%d" % count]
        name = "%d threads" % count
        return self._started(Server(name, command, path, ("protobuf", "msgpack"), "bench-busy"))

    def limit(self, protocol, script="set-header", together=False):
        """together: getters leave in one write."""
        name = "limit, together" if together else "limit"
        path = self.socket("%s-%s-%s" % (name, protocol, script))
        command = [self.tool("limit_server"), path, protocol, script + "+" * together]
        return self._started(Server(name, command, path, (protocol,), self.SCRIPTS[script]))

    def has_peer(self, name):
        return os.path.exists(os.path.join(self.build, "peers", name, "ready"))

    def peer(self, name, script="set-header"):
        """go, js or python; None when it is not installed."""
        home = os.path.join(self.build, "peers", name)
        plugin = self.SCRIPTS[script]
        if not self.has_peer(name):
            return None
        directory = self.socket("%s-%s" % (name, script))
        shutil.rmtree(directory, ignore_errors=True)  # of a round before
        os.mkdir(directory)
        plugins = os.path.join(home, "plugins")
        if name == "go":
            path = os.path.join(directory, plugin + ".socket")
            command = [os.path.join(home, "bin", plugin), "-kong-prefix", directory]
        elif name == "js":
            path = os.path.join(directory, "js")
            program = os.path.join(home, "node_modules", ".bin", "kong-js-pluginserver")
            command = [program, "-p", directory, "--sock-name", "js", "-d", plugins]
        else:
            path = os.path.join(directory, "py")
            program = os.path.join(home, "env", "bin", "kong-python-pluginserver")
            command = [program, "-p", directory, "--socket-name", "py", "-g", "-d", plugins]
        title = {"go": "go-pdk", "js": "JavaScript", "python": "Python"}[name]
        protocol = "protobuf" if name == "go" else "msgpack"
        return self._started(Server(title, command, path, (protocol,), plugin))

    def stop(self, server, pid=None):
        server.stop(pid)
        self.running.remove(server)

    def stop_all(self):
        for server in self.running:
            server.stop()
        self.running = []
