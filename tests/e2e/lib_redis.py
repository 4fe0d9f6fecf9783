"""A Redis server for a test, on a port of loopback, which can be stopped, frozen and started again."""
import signal
import socket
import subprocess
import tempfile

from lib_mxring import eventually, tool


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Redis:
    """with Redis() as redis: redis.port; the test is skipped when there is no redis-server."""

    def __init__(self, *options):
        self.program = tool("redis-server")
        self.options = options
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "",
             "--appendonly", "no", "--dir", self.folder.name, *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        eventually(self.answers, "redis-server listens")

    def answers(self):
        try:
            return self.command("PING")[:1] in (b"+", b"-")
        except OSError:
            return False

    def command(self, *words):
        """The raw answer to a command; its first 64 KiB."""
        text = b"*%d\r\n" % len(words)
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            text += b"$%d\r\n%s\r\n" % (len(word), word)
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(text)
            return connection.recv(65536)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()
