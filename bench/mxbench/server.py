"""A peer that runs, in a scratch folder of its own, and what is asked of it."""
import contextlib
import os
import shutil
import socket
import tempfile

from .load import Load
from .process import Failure, free_port, started, tail, wait_until_up

KEPT_OCTETS = 1 << 30  # more than that in its folder: the server begins anew
WARM_MESSAGES = 20
IDLE_SECONDS = 5  # for each reply
AT_ONCE = 50  # connections that are opened together
WARM = Load("mxload", 1024, sessions=2, messages=WARM_MESSAGES)


def octets_below(folder):
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(f"{path}/{name}").st_blocks * 512
    return total


class Server:
    """A context: inside of it the peer runs and greets."""

    def __init__(self, peer, site, scratch, cpus):
        self.peer, self.site, self.scratch, self.cpus = peer, site, scratch, cpus
        self.name = peer.name
        self.port = None
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def start(self):
        self.folder = tempfile.mkdtemp(prefix=f"mxbench-{self.name}-", dir=self.scratch)
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        launch = self.peer.launch(self.site, self.folder, self.port)
        self.stderr = self.stack.enter_context(tempfile.TemporaryFile())
        self.process = self.stack.enter_context(started(
            launch.argv(), self.cpus, self.stderr, env=launch.env, cwd=launch.cwd))
        wait_until_up(self.process, self.port, self.peer.title, self.stderr)

    @property
    def account(self):
        return self.process.account

    def check(self):
        if self.process.poll() is not None:
            raise Failure(f"ended with {self.process.returncode}{tail(self.stderr)}")

    def warm_up(self, tools):
        """A few messages, so that its code is loaded; Failure when it does not keep what it says
        that it keeps."""
        before = self.peer.kept(self.folder)
        tools.run(WARM, self.port, 0)
        if before is not None:
            kept = self.peer.kept(self.folder) - before
            if kept != WARM_MESSAGES:
                raise Failure(f"keeps {kept} of {WARM_MESSAGES} messages that it took")

    def clear(self, tools):
        """Between two loads: throw away what it keeps; begin anew when there is too much."""
        self.peer.clear(self.folder)
        if octets_below(self.folder) > KEPT_OCTETS:
            self.stack.close()
            self.start()
            self.warm_up(tools)


def read_reply(file):
    """Up to its last line; Failure when it is no success."""
    while True:
        line = file.readline()
        if not line.startswith(b"2"):
            raise Failure(f"idle connections: {line!r} instead of a greeting")
        if line[3:4] != b"-":
            return


def say_hello(port, count, stack):
    """So many connections at once that have said EHLO; the stack closes them."""
    clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port), IDLE_SECONDS))
               for _ in range(count)]
    for hello in (b"", b"EHLO client.example\r\n"):
        for client in clients:
            client.sendall(hello)
        for client in clients:
            client.settimeout(IDLE_SECONDS)
            with client.makefile("rb") as file:
                read_reply(file)


def idle_memory(server, count):
    """Memory of the server's processes for each of `count` connections that do nothing."""
    before, _ = server.account.memory()
    at_once = min(AT_ONCE, server.peer.sessions)
    with contextlib.ExitStack() as stack:
        for begin in range(0, count, at_once):
            try:
                say_hello(server.port, min(at_once, count - begin), stack)
            except OSError as error:
                raise Failure(f"no {count} idle connections: {error}") from error
        after, kind = server.account.memory()
    return {"connections": count, "before_kib": before, "kib_each": (after - before) / count,
            "kind": kind}
