"""SIGHUP: what changes, what stays, what a bad file does, listeners that come and go, and load."""
import os
import re
import signal
import socket
import threading
import time

from lib_mxring import Client, config, equal, eventually, mxring, run, serve, sink, write_config

OTHER = "127.0.0.2"


def write(path, text):
    """As an editor does it: another file takes the place."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def text(servers, top=""):
    return f"""\
engine: {{workers: 2}}
domains: [example.com]
spool: {{durability: none}}
{top}
smtpservers:
""" + "".join(f"  - {{helloName: mx.example, handlerchain: [], {server}, verifyIdentity: disabled}}\n" for server in servers)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def count(server, word):
    return sum(word in line for line in list(server.lines))


def reload(server, path, content, result="done"):
    """Write the file, signal, wait for the result; the new lines of the log."""
    seen = len(server.lines)
    before = count(server, f"event=reload result={result}")
    write(path, content)
    server.signal(signal.SIGHUP)
    eventually(lambda: count(server, f"event=reload result={result}") > before, result)
    return server.lines[seen:]


def has(lines, *words):
    found = [line for line in lines if all(word in line for word in words)]
    assert found, (words, lines)
    return found


def serve_text(servers, top="", **how):
    path = write_config(text(servers, top))
    return path, serve(path, **how)


# ---- rules

def test_old_sessions_keep_the_old_rules():
    path, process = serve_text(["bind: '127.0.0.1:0', maxMessageSize: 1000B"])
    with process as server:
        old = Client(server.addresses[0])
        assert "SIZE 1000" in old.command("EHLO c.test", "250")
        lines = reload(server, path, text(["bind: '127.0.0.1:0', maxMessageSize: 5000B"]))
        has(lines, "event=configuration", "maxMessageSize: 1000B -> 5000B")
        assert "SIZE 1000" in old.command("EHLO c.test", "250")
        with Client(server.addresses[0]) as new:
            assert "SIZE 5000" in new.command("EHLO c.test", "250")
            new.command("QUIT", "221")
        equal(count(server, "result=forgotten"), 0, "the old rules are in use")
        old.command("QUIT", "221")
        eventually(lambda: server.logged("result=forgotten configuration=1"), "they are freed")
        old.close()
        server.stop()


def test_domains_and_relaying():
    path, process = serve_text(["bind: '127.0.0.1:0'"])
    with process as server:
        reload(server, path, text(["bind: '127.0.0.1:0', authorizedAddresses: 127.0.0.2"])
               .replace("[example.com]", "[example.net, example.org]"))
        for source, code in ((OTHER, "250"), ("127.0.0.1", "550")):
            with Client(server.addresses[0], source) as client:
                client.command("EHLO c.test", "250")
                client.command("MAIL FROM:<a@x.org>", "250")
                client.command("RCPT TO:<bob@example.com>", code)
                client.command("RCPT TO:<bob@example.org>", "250")
        server.stop()


def test_limits_count_over_a_reload():
    server_text = "bind: '127.0.0.1:0', connectionLimit: {}, connectionLimitPerIP: {}"
    path, process = serve_text([server_text.format(0, 0)])
    with process as server:
        old = [Client(server.addresses[0]) for _ in range(3)]
        reload(server, path, text([server_text.format(4, 2)]))
        with Client(server.addresses[0]) as fits:
            fits.command("NOOP", "250")
            with Client(server.addresses[0], greeting="421 4.7.0") as client:
                client.expect_end()
            old[0].command("QUIT", "221")
            old[0].expect_end()
            # by address it is the second one: the old ones were never counted
            second = eventually(lambda: try_to_enter(server.addresses[0]), "a place")
            with Client(server.addresses[0], OTHER, greeting="421 4.7.0") as client:
                client.expect_end()
            second.close()
        for client in old:
            client.close()
        server.stop()


def try_to_enter(address):
    client = Client(address, greeting=None)
    if client.reply().startswith("220"):
        return client
    client.close()
    return None


def test_users_and_aliases():
    folder = os.path.dirname(write_config(""))
    users, aliases = os.path.join(folder, "users"), os.path.join(folder, "aliases")
    write(users, "bob@example.com:{PLAIN}x\n")
    write(aliases, "ali@example.com: bob@example.com\n")
    new = (text(["bind: '127.0.0.1:0'"]).replace("[]", "[ValidRcptHandler]")
           + "users: users\naliases: aliases\n")
    path = write_config(new)

    def try_rcpt(**codes):
        with Client(server.addresses[0]) as client:
            client.command("EHLO c.test", "250")
            client.command("MAIL FROM:<a@x.org>", "250")
            for name, code in codes.items():
                client.command(f"RCPT TO:<{name}@example.com>", code)

    with serve(path) as server:
        try_rcpt(bob="250", ali="250", eve="550 5.1.1", al="550 5.1.1")
        write(users, "bob@example.com:{PLAIN}x\neve@example.com:{PLAIN}y\n")
        write(aliases, "al@example.com: bob@example.com\n")
        lines = reload(server, path, new)
        has(lines, 'change="users: 1 entries -> 2"')
        try_rcpt(bob="250", ali="550 5.1.1", eve="250", al="250")
        write(users, "eve@example.com:{PLAIN}y\n")
        write(aliases, "# broken\nal@example.com: bob\n")
        lines = reload(server, path, new, "failed")
        has(lines, f"file={aliases}", "line=2 ", "column=17 ", "'bob' is no address")
        try_rcpt(bob="250", al="250")
        server.stop()


def test_log_level():
    path, process = serve_text(["bind: '127.0.0.1:0'"])
    with process as server:
        reload(server, path, text(["bind: '127.0.0.1:0'"], "log: {level: debug}"))
        with Client(server.addresses[0]) as client:
            client.command("QUIT", "221")
        eventually(lambda: server.logged("event=disconnect"), "debug lines")
        server.stop()


def test_what_only_a_restart_changes():
    path, process = serve_text(["bind: '127.0.0.1:0'"])
    with process as server:
        new = text(["bind: '127.0.0.1:0'"], "log: {format: json}")
        new = new.replace("workers: 2", "workers: 3, maxConnections: 7, user: nobody")
        for _ in range(2):  # it is not forgotten either that it has not changed
            lines = reload(server, path, new)
            for row in ("engine.workers: 2 -> 3", "engine.maxConnections: 65536 -> 7",
                        'engine.user: null -> \\"nobody\\"', "log.format: logfmt -> json"):
                has(lines, row, "only a restart")
        clients = [Client(server.addresses[0]) for _ in range(9)]
        for client in clients:
            client.close()
        server.stop()


def test_log_format_of_the_command_line_is_no_change():
    path = write_config(text(["bind: '127.0.0.1:0'"]))
    with serve(path, "--log-format", "json") as server:
        server.signal(signal.SIGHUP)
        eventually(lambda: server.logged('"result":"done"'), "done")
        assert not server.logged("log.format"), server.lines
        server.stop()


# ---- bad files

def test_a_bad_file_changes_nothing():
    path, process = serve_text(["bind: '127.0.0.1:0', maxMessageSize: 1000B"])
    with process as server:
        bad = text(["bind: '127.0.0.1:0', maxMessageSize: 5000B, maxErrors: -1",
                    "bind: '127.0.0.1:0', nonsense: 1"])
        lines = reload(server, path, bad, "failed")
        has(lines, "level=error", "line=6 ", "column=102 ", "maxErrors must be between")
        has(lines, "level=error", "line=7 ", "unknown key 'nonsense'")
        has(lines, "nothing has changed")
        with Client(server.addresses[0]) as client:
            assert "SIZE 1000" in client.command("EHLO c.test", "250")
        os.unlink(path)
        server.signal(signal.SIGHUP)
        eventually(lambda: server.logged("No such file"), "the reason")
        lines = reload(server, path, text(["bind: '127.0.0.1:0', maxMessageSize: 5000B"]))
        with Client(server.addresses[0]) as client:
            assert "SIZE 5000" in client.command("EHLO c.test", "250")
        server.stop()


def test_an_address_in_use_changes_nothing():
    path, process = serve_text(["bind: '127.0.0.1:0', maxMessageSize: 1000B"])
    with process as server, socket.create_server(("127.0.0.1", 0)) as other:
        port, mine = other.getsockname()[1], free_port()
        lines = reload(server, path, text([
            f"bind: ['127.0.0.1:{mine}', '127.0.0.1:{port}'], maxMessageSize: 5000B"]), "failed")
        has(lines, f"127.0.0.1:{port}", "in use")
        with Client(server.addresses[0]) as client:
            assert "SIZE 1000" in client.command("EHLO c.test", "250")
        assert not can_connect(("127.0.0.1", mine)), "opened before the other one failed"
        server.stop()


def test_a_sink_has_no_file():
    with sink() as server:
        server.signal(signal.SIGHUP)
        eventually(lambda: server.logged("there is no configuration file"), "the log says so")
        server.stop()


# ---- listeners

def can_connect(address):
    try:
        socket.create_connection(address, 5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_listeners_come_and_go():
    stays, goes, comes = free_port(), free_port(), free_port()
    servers = [f"bind: ['127.0.0.1:{stays}', '127.0.0.1:{goes}'], name: one"]
    path, process = serve_text(servers, listeners=2)
    with process as server:
        kept, gone = Client(("127.0.0.1", stays)), Client(("127.0.0.1", goes))
        lines = reload(server, path, text([f"bind: '127.0.0.1:{stays}', name: one",
                                           f"bind: '127.0.0.1:{comes}', name: two"]))
        has(lines, "event=closed", f"addr=127.0.0.1:{goes}")
        has(lines, "event=listening", f"addr=127.0.0.1:{comes}", "name=two")
        equal(count(server, "event=listening"), 3, "the one that stays is not opened anew")
        assert not can_connect(("127.0.0.1", goes))
        for client in (kept, gone):
            client.message()
            client.command("QUIT", "221")
            client.close()
        for port in (stays, comes):
            with Client(("127.0.0.1", port)) as client:
                client.message()
        # and back again, the place is taken once more
        reload(server, path, text(servers))
        assert not can_connect(("127.0.0.1", comes))
        with Client(("127.0.0.1", goes)) as client:
            client.message()
        server.stop()


def test_a_wider_and_a_narrower_address():
    port = free_port()
    path, process = serve_text([f"bind: '127.0.0.1:{port}'"])
    with process as server:
        for address in (f"0.0.0.0:{port}", f"127.0.0.1:{port}", f"127.0.0.2:{port}"):
            reload(server, path, text([f"bind: '{address}'"]))
            reached = [ip for ip in ("127.0.0.1", OTHER) if can_connect((ip, port))]
            equal(reached, {"0": ["127.0.0.1", OTHER], "1": ["127.0.0.1"], "2": [OTHER]}
                  [address.split(":", maxsplit=1)[0][-1]], address)
        server.stop()


def test_smtp_becomes_lmtp():
    port = free_port()
    path, process = serve_text([f"bind: '127.0.0.1:{port}'"])
    with process as server:
        reload(server, path, text([f"bind: '127.0.0.1:{port}'"]).replace("smtp", "lmtp")
           .replace(", verifyIdentity: disabled", ""))
        equal(count(server, "event=listening"), 1, "the same socket")
        with Client(("127.0.0.1", port)) as client:
            client.command("LHLO c.test", "250")
        server.stop()


def test_a_disabled_server_and_all_of_them():
    port = free_port()
    path, process = serve_text([f"bind: '127.0.0.1:{port}'"])
    with process as server:
        reload(server, path, text([f"bind: '127.0.0.1:{port}', enabled: false"]))
        assert not can_connect(("127.0.0.1", port))
        reload(server, path, "spool: {durability: none}\n")
        reload(server, path, text([f"bind: '127.0.0.1:{port}'"]))
        with Client(("127.0.0.1", port)) as client:
            client.command("NOOP", "250")
        server.stop()


# ---- together with other things

def test_signals_in_a_row():
    """Those that come while it reads are answered by one more reload."""
    path, process = serve_text(["bind: '127.0.0.1:0'"])
    with process as server:
        for _ in range(20):
            server.signal(signal.SIGHUP)
        eventually(lambda: count(server, "result=done") >= 1, "done")
        reload(server, path, text(["bind: '127.0.0.1:0', maxMessageSize: 5000B"]))
        server.stop()


def test_it_drains_in_the_middle():
    path, process = serve_text(["bind: '127.0.0.1:0'"])
    with process as server:
        server.signal(signal.SIGHUP)
        server.stop()


def test_systemd_is_told():
    path = write_config(text(["bind: '127.0.0.1:0'"]))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        name = path + ".notify"
        notify.bind(name)
        notify.settimeout(20)
        with serve(path, environment={"NOTIFY_SOCKET": name}) as server:
            equal(notify.recv(200), b"READY=1")
            server.signal(signal.SIGHUP)
            assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", notify.recv(200))
            equal(notify.recv(200), b"READY=1")
            server.stop()


class Load(threading.Thread):
    """A client that sends messages until it is told to stop; any wrong reply ends it."""

    def __init__(self, address, number):
        super().__init__()
        self.address, self.number, self.messages, self.error = address, number, 0, None
        self.is_over = False

    def run(self):
        try:
            while not self.is_over:
                with Client(self.address) as client:
                    for _ in range(1 + self.number % 4 * 5):
                        client.message()
                        self.messages += 1
                    client.command("QUIT", "221")
        except Exception as error:  # the test asserts that there is none
            self.error = error


def test_no_transaction_fails_under_load():
    """A listener beside the one under load comes and goes, the rules change; nobody notices."""
    stays, other = free_port(), free_port()
    path, process = serve_text([f"bind: '127.0.0.1:{stays}'"])
    with process as server:
        clients = [Load(("127.0.0.1", stays), number) for number in range(8)]
        for client in clients:
            client.start()
        for i in range(10):
            binds = f"'127.0.0.1:{stays}'" + (f", '127.0.0.1:{other}'" if i % 2 else "")
            reload(server, path, text([f"bind: [{binds}], maxMessageSize: {10000 + i}"],
                                      f"defaultDomain: d{i}.example"))
            time.sleep(0.05)
        for client in clients:
            client.is_over = True
        for client in clients:
            client.join()
        equal([client.error for client in clients], [None] * 8)
        assert all(client.messages > 0 for client in clients)
        eventually(lambda: count(server, "result=forgotten") == 10, "all old rules are freed")
        server.stop()


# ---- check --diff

def test_diff():
    old = write_config(text(["bind: '127.0.0.1:2525', name: in, maxMessageSize: 1M"]))
    new = write_config(text(["bind: ['127.0.0.1:2525', '[::1]:2525'], name: in",
                             "bind: '127.0.0.1:2626', enabled: false"]).replace(": 2}", ": 3}"))
    result = mxring("check", "--diff", old, new)
    equal((result.returncode, result.stderr), (0, ""))
    equal(result.stdout, """\
engine.workers: 2 -> 3 (only a restart changes it)
smtpservers 'in' (127.0.0.1:2525): bind: +[::1]:2525
smtpservers 'in' (127.0.0.1:2525): maxMessageSize: 1M -> 100M
smtpservers 'smtpserver' (127.0.0.1:2626): new server (not enabled)
""")
    equal(mxring("check", "--diff", old, old).stdout, "no change\n")
    broken = write_config("domains: 1 2 !\n")
    result = mxring("check", "--diff", old, broken)
    equal((result.returncode, result.stdout), (1, ""))
    assert f"{broken}:1:" in result.stderr
    for arguments in (["--diff"], ["--diff", old], ["--diff", old, new, new],
                      ["--diff", "-c", old, new], ["--diff", "--dump", old, new]):
        equal(mxring("check", *arguments).returncode, 2, str(arguments))


run(globals())
