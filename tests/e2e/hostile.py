"""Clients, and readers of the log, that want to stop everybody: they do not."""
import os
import signal
import subprocess
import tempfile
import threading
import time

from lib_mxring import MXRING, Client, config, equal, run, serve, sink, write_config

HOGS = 24
LONG = "r" * 8100  # a local part
MXLOAD = os.environ.get("MXLOAD") or os.path.join(os.path.dirname(MXRING), "mxload")


def keeping(folder, engine=""):
    """One worker that keeps its mail."""
    return write_config(f"""\
engine: {{workers: 1, {engine}}}
domains: [example.com]
spool: {{directory: "{folder}/spool", segmentSize: 16M, reserve: 0}}
smtpservers:
  - {{bind: "127.0.0.1:0", helloName: mx.example, handlerchain: [], verifyIdentity: disabled}}
""")


# ---- a line without an end between two chunks

def send_long_line(server, octets, end=b"\r\n"):
    with Client(server.addresses[0]) as client:
        client.envelope()
        client.send(b"BDAT 1\r\nx")
        client.expect("250 2.0.0 1")
        for _ in range(octets // 16384):
            client.send(b"N" * 16384)
            time.sleep(0.01)  # a packet each
        for octet in end:
            client.send(bytes([octet]))
            time.sleep(0.01)
        return client.reply()


def test_long_line_between_chunks():
    with sink() as server:
        assert send_long_line(server, 1 << 17).startswith("500 "), "unknown command"
        server.stop()
    for limit in (0, 65536, 100000):
        with serve(config(smtp=f"maxLineLength: {limit}")) as server:
            assert send_long_line(server, 1 << 17).startswith("500 "), limit
            assert send_long_line(server, 1 << 16).startswith("500 "), limit
            server.stop()


# ---- session memory

def hog(address):
    """Envelopes are as long as the session memory allows; whoever has one keeps it."""
    client = Client(address)
    client.command("EHLO client.example", "250")
    client.command("MAIL FROM:<a@example.org>", "250")
    for number in range(300):
        client.send(f"RCPT TO:<{number}{LONG}@example.com>\r\n")
        if not client.reply().startswith("250"):
            break
    return client


def test_long_envelopes_leave_room_for_others():
    with tempfile.TemporaryDirectory() as folder, serve(keeping(folder)) as server:
        hogs = [hog(server.addresses[0]) for _ in range(HOGS)]
        for _ in range(20):
            with Client(server.addresses[0]) as client:
                client.message(sender="an.ordinary.sender@lists.example.org")
        for client in hogs:
            client.close()
        server.stop()


def test_large_receive_buffers():
    with tempfile.TemporaryDirectory() as folder, \
            serve(keeping(folder, "recvBufferSize: 64K")) as server:
        done = subprocess.run(
            [MXLOAD, "-s", "12", "-m", "12", "-l", "12M", "-d", "-t", "bob@example.com",
             server.address], capture_output=True, text=True, timeout=120, check=False)
        assert "12 accepted, 0 not" in done.stdout, done.stdout + done.stderr
        server.stop()


# ---- a refused chunk

def test_refused_chunk_is_read_to_its_end():
    with serve(config(smtp="minDataRate: 1000")) as server, Client(server.addresses[0]) as client:
        client.command("EHLO client.example", "250")
        client.send(b"BDAT 5000\r\n" + b"x" * 4000)
        client.send(b"x" * 1000)
        client.expect("503")
        client.message()
        server.stop()


# ---- a log that nobody reads

def test_signals_are_heard_while_nobody_reads_the_log():
    path = config(more="log: {level: debug}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        with serve(path) as server:
            stop_reading(server)
            for _ in range(700):
                with Client(server.addresses[0]) as client:
                    client.command("QUIT", "221")
            server.signal(number)
            if number == signal.SIGHUP:
                time.sleep(0.2)
                server.signal(signal.SIGTERM)
            equal(server.process.wait(20), 0, "exit status")
            server.is_read.set()


def stop_reading(server):
    """The thread of the test that reads stderr stops at its next line."""
    server.is_read = threading.Event()
    read = server.lines.append

    class Stopped(list):
        def append(self, line):
            server.is_read.wait(60)
            read(line)

    server.lines = Stopped(server.lines)


def test_a_log_that_is_closed_is_no_reason_to_end():
    reader, writer = os.pipe()
    path = config()
    with open(writer, "wb") as stderr:
        process = subprocess.Popen([MXRING, "serve", "-c", path], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=stderr)
    try:
        with open(reader, "rb") as log:
            address = listening(log)
        for _ in range(5):
            with Client(address) as client:
                client.message()
        process.send_signal(signal.SIGTERM)
        equal(process.wait(20), 0, "exit status")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def listening(log):
    for line in log:
        if b"event=listening" in line:
            host, port = line.split(b"addr=")[1].split()[0].decode().split(":")
            return host, int(port)
    raise AssertionError("it does not listen")


if __name__ == "__main__":
    run(globals())
