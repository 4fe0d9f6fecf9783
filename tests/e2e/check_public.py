"""mxring check --public: a server as others see it, against servers that are good, that relay, that
have no TLS or a broken one, that say nothing, nonsense or too much."""
import contextlib
import socket
import subprocess
import threading
import time

import lib_tls
from lib_dns import NameServer
from lib_mxring import MXRING, equal, run, write_config

NAME = "mail.own.test"
ZONE = {
    NAME: {"A": ["127.0.0.1"]},
    "1.0.0.127.in-addr.arpa": {"PTR": [NAME]},
    "two.own.test": {"A": ["127.0.0.1", "127.0.0.2"], "AAAA": ["::1"]},
    "2.0.0.127.in-addr.arpa": {"PTR": ["lost.own.test", "two.own.test"]},
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa": {"do": "servfail"},
    "lost.own.test": {"A": ["192.0.2.77"]},
    "other.own.test": {"A": ["127.0.0.1"]},
    "silent.own.test": {"do": "silent"},
    "broken.own.test": {"do": "servfail"},
    "mute.own.test": {"MX": ["10 mail.own.test"]},
    "1.0.0.127.listed.test": {"A": ["127.0.0.4"]},
    "1.0.0.127.refusing.test": {"A": ["127.255.255.254"]},
    "1.0.0.127.failing.test": {"do": "servfail"},
    "1.0.0.127.odd.test": {"A": ["192.0.2.1"]},
}


def check(dns, port, *arguments, name=NAME, timeout=3):
    """The status and the table: (result, what, the rest) of each line."""
    begin = time.monotonic()
    done = subprocess.run([MXRING, "check", "--public", name, "--dns", f"127.0.0.1:{dns.port}",
                           "--port", str(port), "--timeout", str(timeout), *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert time.monotonic() - begin < 60, "it ends"
    rows = [(line[:8].strip(), line[9:23].strip(), line[24:]) for line in done.stdout.splitlines()]
    return done.returncode, rows[:-1], done


def has(rows, result, what, text=""):
    return any(row[:2] == (result, what) and text in row[2] for row in rows)


def all_has(rows, *wanted):
    for row in wanted:
        assert has(rows, *row), f"{row} is not in\n" + "\n".join(map(str, rows))



class Fake:
    """A server of one page of Python: script(connection) for each that comes."""

    def __init__(self, script):
        self.script = script
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(20)
                    self.script(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def answering(replies, greeting=b"220 mail.own.test ready\r\n"):
    """A script: the reply to each verb; None: it closes."""
    def script(connection):
        connection.sendall(greeting)
        for line in connection.makefile("rb"):
            verb = line.split()[0].upper() if line.split() else b""
            reply = replies.get(verb, b"250 ok\r\n")
            if reply is None:
                return
            connection.sendall(reply)
    return script


def test_a_good_server():
    name = "mx.example"  # as lib_tls calls it
    zone = {**ZONE, name: {"A": ["127.0.0.1"]}, "1.0.0.127.in-addr.arpa": {"PTR": [name]}}
    with lib_tls.Keys() as keys, NameServer(zone) as dns:
        with lib_tls.serve(keys.tls()) as server:
            status, rows, done = check(dns, server.port, name=name)
            equal(status, 0, done)
            all_has(rows, ("ok", "address", "127.0.0.1"), ("ok", "reverse name", "and back"),
                    ("skipped", "block list"), ("ok", "greeting", name), ("ok", "STARTTLS", "TLSv1.3"),
                    ("ok", "relaying", "each of 6 ways"))
            status, rows, done = check(dns, server.port, "--list", "clean.test", "--list", "odd.test",
                                       name=name + ".")
            equal(status, 0, done)
            all_has(rows, ("ok", "block list", "not on clean.test"), ("ok", "block list", "odd.test"))
            server.stop()
            assert not any("event=message" in line for line in server.lines), "no mail"


def test_block_lists():
    with Fake(answering({b"STARTTLS": b"454 no\r\n", b"RCPT": b"550 no\r\n"})) as server, \
            NameServer(ZONE) as dns:
        status, rows, done = check(dns, server.port, "--list", "listed.test", "--list",
                                   "refusing.test", "--list", "failing.test")
        equal(status, 1, done)
        all_has(rows, ("BAD", "block list", "listed.test has it: 127.0.0.4"),
                ("unknown", "block list", "refusing.test does not tell us"),
                ("unknown", "block list", "failing.test"))
        chain = "{DNSRBLHandler: {rblservers: {blacklist: [listed.test], whitelist: [white.test]}}}"
        path = write_config(f"""\
dns: {{servers: "127.0.0.1:{dns.port}"}}
domains: [own.test]
smtpservers: [{{bind: "127.0.0.1:0", helloName: {NAME}, handlerchain: [{chain}]}}]
""")
        done = subprocess.run([MXRING, "check", "--public", NAME, "-c", path, "--port",
                               str(server.port)], stdout=subprocess.PIPE, text=True, check=False)
        equal(done.returncode, 1, done)
        assert "listed.test has it" in done.stdout and "white.test" not in done.stdout, done.stdout


def test_names():
    with Fake(answering({b"STARTTLS": b"454 no\r\n", b"RCPT": b"550 no\r\n"})) as server, \
            NameServer(ZONE) as dns:
        status, rows, done = check(dns, server.port, name="two.own.test")
        equal(status, 1, done)
        all_has(rows, ("ok", "address", "127.0.0.2"), ("ok", "address", "::1"),
                ("warning", "reverse name", "it is another name than two.own.test"),
                ("BAD", "reverse name", "lost.own.test does not lead back"),
                ("unknown", "reverse name", "the name server cannot answer"),
                ("BAD", "connection", "Connection refused"), ("warning", "greeting", "another name"))
        for name, status, result in (("nothing.own.test", 1, "BAD"), ("mute.own.test", 1, "BAD"),
                                     ("broken.own.test", 75, "unknown"),
                                     ("silent.own.test", 75, "unknown")):
            got, rows, done = check(dns, server.port, name=name)
            equal(got, status, done)
            all_has(rows, (result, "address", name))
            equal(has(rows, "ok", "greeting"), False, name)


def test_open_relays():
    offered = b"250-mail.own.test\r\n250 STARTTLS\r\n"
    with NameServer(ZONE) as dns:
        cases = {
            "all": ({}, ("BAD", "relaying", "from anybody to anybody: 250")),
            "later": ({b"RCPT": b"451 4.7.1 come again\r\n"}, ("unknown", "relaying", "451 4.7.1")),
            "lost": ({b"RCPT": None}, ("unknown", "relaying", "closed the connection")),
        }
        for what, (replies, wanted) in cases.items():
            with Fake(answering(replies)) as server:
                status, rows, done = check(dns, server.port)
                equal(status, 1, done)
                all_has(rows, wanted, ("BAD", "STARTTLS", "is not offered"))

        def local_only(connection):
            """Takes what ends with its own name, whatever stands before it."""
            connection.sendall(b"220 mail.own.test\r\n")
            for line in connection.makefile("rb"):
                is_bad = line.upper().startswith(b"RCPT") and not line.rstrip().endswith(b"own.test>")
                connection.sendall(b"550 no\r\n" if is_bad else b"250 ok\r\n")
        with Fake(local_only) as server:
            status, rows, done = check(dns, server.port)
            all_has(rows, ("warning", "relaying", "by a percent sign: 250"),
                    ("warning", "relaying", "by quotes: 250"))
            assert not has(rows, "BAD", "relaying"), rows


def test_tls_that_fails():
    offered = b"250-mail.own.test\r\n250-SIZE 1\r\n250 starttls\r\n"
    with NameServer(ZONE) as dns:
        def hang(connection):
            connection.sendall(b"220 mail.own.test\r\n")
            lines = connection.makefile("rb")
            for reply in (offered, b"220 go\r\n"):
                lines.readline()
                connection.sendall(reply)
            time.sleep(8)
        with Fake(hang) as server:
            status, rows, done = check(dns, server.port, timeout=1)
            equal(status, 1, done)
            all_has(rows, ("BAD", "STARTTLS", "no answer in time"))
        for reply, text in ((b"220 go\r\nHTTP/1.1 400 Bad Request\r\n\r\n", "it says more before"),
                            (b"220 go\r\n", "the handshake fails"),
                            (b"454 not now\r\n", "454 not now"), (b"502 what\r\n", "502 what")):
            with Fake(answering({b"EHLO": offered, b"STARTTLS": reply, b"RCPT": b"550 no\r\n"})) \
                    as server:
                status, rows, done = check(dns, server.port, timeout=1)
                equal(status, 1, done)
                all_has(rows, ("BAD", "STARTTLS", text))


def test_hostile_servers():
    def drip(connection):
        for octet in b"220-" + b"x" * 100:
            connection.sendall(bytes([octet]))
            time.sleep(0.2)

    def endless(connection):
        for _ in range(100000):
            connection.sendall(b"220-more\r\n" * 100)

    def long_line(connection):
        connection.sendall(b"220 " + b"x" * 1000000)

    scripts = {
        "silent": (lambda connection: time.sleep(8), "no answer in time", 1),
        "closes": (lambda connection: None, "closed the connection", 3),
        "nonsense": (lambda connection: connection.sendall(b"SSH-2.0-x\r\n"), "no SMTP", 3),
        "drip": (drip, "no answer in time", 1),
        "endless": (endless, "too many lines", 3),
        "long": (long_line, "says too much", 3),
    }
    with NameServer(ZONE) as dns:
        for what, (script, text, timeout) in scripts.items():
            with Fake(script) as server:
                status, rows, done = check(dns, server.port, timeout=timeout)
                equal(status, 75, f"{what}: {done}")
                all_has(rows, ("unknown", "greeting", text))
        with Fake(answering({}, b"554 go away\r\n")) as server:
            status, rows, done = check(dns, server.port)
            equal(status, 1, done)
            all_has(rows, ("BAD", "greeting", "554 go away"))
        with Fake(answering({}, b"220 mail.own.test \x1b[31mred\x07\r\n")) as server:
            status, rows, done = check(dns, server.port)
            assert "\x1b" not in done.stdout and "\x07" not in done.stdout, "controls are not shown"


def test_mistakes():
    for arguments in ((), ("--public",), ("--public", "a.test", "more"), ("--public", "a b"),
                      ("--public", "a.test", "--port", "0"), ("--public", "a.test", "--port", "x"),
                      ("--public", "a.test", "--timeout", "301"), ("--public", "a.test", "--list", ""),
                      ("--public", "a.test", "--dns", "nonsense"), ("--public", ""),
                      ("--public", "a.test", "-c", "/nowhere"),
                      ("--public", "a.test", "-c", "x", "--dns", "127.0.0.1")):
        done = subprocess.run([MXRING, "check", *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        equal((done.returncode, done.stdout), (2, ""), arguments)
        assert done.stderr, arguments


run(globals())
