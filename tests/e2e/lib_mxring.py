"""Helpers of the end-to-end tests: start mxring on ports that the kernel picks, talk to it, stop it.

A test file defines functions whose names begin with test_ and calls run(globals()).
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SOURCE = os.environ.get("MX_SOURCE_DIR") or os.path.realpath(f"{__file__}/../../..")
MXRING = os.environ.get("MXRING") or f"{SOURCE}/build/mxring"
SLOW = 20  # seconds; nothing here takes that long, but a sanitizer on a busy machine may be slow


def skip(reason):
    print(f"skipped: {reason}", file=sys.stderr)
    sys.exit(77)


def tool(name):
    """The path of a program; the test is skipped when there is none."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        skip(f"{name} is not installed")
    return path


def run(names):
    """Run every test_ function in order of appearance; each failure is printed."""
    failed = 0
    tests = [item for item in names.items() if item[0].startswith("test_")]
    assert tests, "no tests"
    for name, test in tests:
        begin = time.monotonic()
        try:
            test()
            result = "ok"
        except Exception:  # every test runs, whatever the others did
            traceback.print_exc()
            result = "FAILED"
            failed += 1
        print(f"{result} {name} ({time.monotonic() - begin:.1f} s)", flush=True)
    sys.exit(1 if failed else 0)


def equal(got, wanted, what=""):
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"


def eventually(check, what, seconds=SLOW):
    """Wait until check() is true; return what it returned."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = check()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class Server:
    """A running mxring. addresses: (host, port) of each listener, in the order of the log."""

    def __init__(self, *arguments, listeners=1, environment=None, prefix=()):
        self.lines = []
        self.process = subprocess.Popen(
            [*prefix, MXRING, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, **(environment or {})})
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            self.addresses = eventually(lambda: self._addresses(listeners), "listening")
        except AssertionError:
            self.kill()
            raise AssertionError(f"does not listen: {arguments}\n" + "\n".join(self.lines))
        self.host, self.port = self.addresses[0]
        self.address = f"{self.host}:{self.port}"

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    def _addresses(self, count):
        found = []
        for line in list(self.lines):
            match = re.search(r'addr"?[=:]"?(\S+?):(\d+)\b', line)
            if re.search(r'event"?[=:]"?listening', line) and match:
                found.append((match[1].strip("[]"), int(match[2])))
        if len(found) >= count:
            return found
        if self.process.poll() is not None:
            raise AssertionError("mxring ended")
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, seconds=SLOW * 3):
        """The exit status, when it ends by itself."""
        out = self.process.stdout.read() if self.process.poll() is not None else None
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("mxring does not end\n" + "\n".join(self.lines[-20:]))
        self.reader.join(SLOW)
        self.output = out if out is not None else self.process.stdout.read()
        self.process.stdout.close()
        return status

    def stop(self, status=0):
        """SIGTERM, and the exit status must be this one. The JSON summary of a sink, else None."""
        self.signal()
        equal(self.wait(), status, "exit status\n" + "\n".join(self.lines[-20:]))
        return json.loads(self.output) if self.output.strip() else None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def logged(self, text):
        return any(text in line for line in self.lines)

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


class Client:
    """A raw client: sends octets, reads replies."""

    def __init__(self, address, source=None, greeting="220"):
        self.socket = socket.create_connection(address, SLOW, (source, 0) if source else None)
        self.socket.settimeout(SLOW)
        self.file = self.socket.makefile("rb")
        if greeting:
            self.expect(greeting)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def reply(self):
        """One reply with all its lines, or "" when the server has closed."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return "".join(lines)
            assert line.endswith(b"\r\n"), line
            lines.append(line.decode("utf-8"))
            if line[3:4] != b"-":
                return "".join(lines)

    def expect(self, code, what=""):
        reply = self.reply()
        assert reply.startswith(code), f"{what}: got {reply!r}, wanted {code}"
        return reply

    def command(self, line, code):
        self.send(line + "\r\n")
        return self.expect(code, line)

    def expect_end(self):
        """The server closes and says nothing more; a reset is an end, too."""
        try:
            equal(self.file.read(), b"", "behind the last reply")
        except ConnectionResetError:
            pass

    def envelope(self, sender="a@example.org", recipients=("bob@example.com",), hello="EHLO"):
        self.command(f"{hello} client.example", "250")
        self.command(f"MAIL FROM:<{sender}>", "250")
        for recipient in recipients:
            self.command(f"RCPT TO:<{recipient}>", "250")

    def message(self, body="Subject: x\r\n\r\ntext\r\n", **how):
        self.envelope(**how)
        self.command("DATA", "354")
        self.send(body + ".\r\n")
        return self.expect("250", "end of data")


class Receiver:
    """A server of one thread a connection; reply(line) may answer or wait. Keeps the messages."""

    def __init__(self, talk):
        self.talk = talk
        self.messages = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            with peer, peer.makefile("rb") as lines:
                self.talk(self, peer, lines)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()


def write_config(text):
    """A file that lives until the test program ends."""
    folder = _folder()
    path = os.path.join(folder, f"{len(os.listdir(folder))}.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _folder(kept=[]):
    if not kept:
        kept.append(tempfile.TemporaryDirectory(prefix="mxring-e2e-"))
    return kept[0].name


def config(engine="", smtp="", lmtp=None, more=""):
    """A gateway that keeps nothing: two workers, example.com, one SMTP and maybe one LMTP server.
    Everybody may send as anybody, unless the test says verifyIdentity."""
    if "verifyIdentity" not in smtp:
        smtp = f"verifyIdentity: disabled, {smtp}"
    text = f"""\
engine: {{workers: 2, {engine}}}
domains: [example.com]
spool: {{durability: none}}
{more}
smtpservers:
  - {{bind: "127.0.0.1:0", helloName: mx.example, handlerchain: [], {smtp}}}
"""
    if lmtp is not None:
        text += f"""\
lmtpservers:
  - {{bind: "127.0.0.1:0", helloName: mx.example, handlerchain: [], {lmtp}}}
"""
    return write_config(text)


def serve(path, *arguments, **how):
    return Server("serve", "-c", path, *arguments, **how)


def sink(*arguments, address="127.0.0.1:0", **how):
    return Server("sink", *arguments, address, **how)


def mxring(*arguments, seconds=SLOW, **how):
    """Run a command that ends by itself."""
    return subprocess.run([MXRING, *arguments], capture_output=True, text=True, timeout=seconds,
                          stdin=subprocess.DEVNULL, check=False, **how)
