"""mxring serve: relaying, limits over two workers, draining, exit codes, the log."""
import json
import os
import re
import signal
import socket
import tempfile

from lib_mxring import Client, config, equal, eventually, mxring, run, serve, write_config

OTHER = "127.0.0.2"


# ---- relaying

def test_relay_is_denied():
    with serve(config()) as server, Client(server.addresses[0]) as client:
        client.command("EHLO client.example", "250")
        client.command("MAIL FROM:<a@example.org>", "250")
        client.command("RCPT TO:<bob@elsewhere.example>", "550 5.7.1")
        client.command("RCPT TO:<bob%elsewhere.example@sub.example.com>", "550 5.7.1")
        client.command("DATA", "503")
        client.command("RCPT TO:<bob@EXAMPLE.com>", "250")
        client.command("QUIT", "221")
        equal(server.stop(), None)


def test_relay_is_allowed_from_authorized_addresses():
    with serve(config(smtp="authorizedAddresses: 127.0.0.2/32")) as server:
        for source, code in ((OTHER, "250"), ("127.0.0.1", "550")):
            with Client(server.addresses[0], source) as client:
                client.command("EHLO client.example", "250")
                client.command("MAIL FROM:<a@example.org>", "250")
                client.command("RCPT TO:<bob@elsewhere.example>", code)
                client.command("QUIT", "221")
        server.stop()


def test_lmtp_knows_local_domains_only():
    with serve(config(lmtp=""), listeners=2) as server:
        line = next(line for line in server.lines if "proto=lmtp" in line)
        address = next(a for a in server.addresses if f":{a[1]}" in line)
        with Client(address) as client:
            client.command("LHLO client.example", "250")
            client.command("MAIL FROM:<a@example.org>", "250")
            client.command("RCPT TO:<bob@elsewhere.example>", "550")
            client.command("RCPT TO:<bob@example.com>", "250")
            client.command("QUIT", "221")
        server.stop()


# ---- limits

def count_accepted(address, sources):
    """Open all, keep them; (how many were greeted, clients)."""
    clients = [Client(address, source, greeting=None) for source in sources]
    greeted = 0
    for client in clients:
        reply = client.reply()
        assert reply.startswith(("220 ", "421 4.7.0 ")), reply
        greeted += reply.startswith("220")
        if reply.startswith("421"):
            client.expect_end()
    return greeted, clients


def close_all(clients):
    for client in clients:
        client.close()


def check_limit(path, sources, wanted):
    """Exactly `wanted` are greeted, again and again: closing gives the places back."""
    def try_all():
        greeted, clients = count_accepted(server.addresses[0], sources)
        close_all(clients)
        assert greeted <= wanted, f"{greeted} are greeted, wanted {wanted}"
        return greeted == wanted

    with serve(path) as server:
        assert try_all(), "places are missing from the beginning"
        for _ in range(2):
            # the closing of the others is seen one after the other
            eventually(try_all, f"{wanted} free places")
        server.stop()


def test_connection_limit():
    check_limit(config(smtp="connectionLimit: 10"), ["127.0.0.1"] * 30, 10)


def test_connection_limit_per_ip():
    check_limit(config(smtp="connectionLimitPerIP: 5"), ["127.0.0.1", OTHER] * 10, 10)


def test_max_connections():
    check_limit(config(engine="maxConnections: 12"), ["127.0.0.1"] * 40, 12)


def test_a_refused_connection_costs_nobody_else_a_place():
    with serve(config(smtp="connectionLimitPerIP: 3, connectionLimit: 6")) as server:
        greeted, first = count_accepted(server.addresses[0], ["127.0.0.1"] * 10)
        equal(greeted, 3)
        greeted, second = count_accepted(server.addresses[0], [OTHER] * 10)
        equal(greeted, 3)
        close_all(first + second)
        server.stop()


def test_max_errors_and_recipients():
    with serve(config(smtp="maxErrors: 5, maxRecipients: 3")) as server:
        with Client(server.addresses[0]) as client:
            client.envelope(recipients=[f"u{n}@example.com" for n in range(3)])
            client.command("RCPT TO:<u4@example.com>", "452 4.5.3")
            for _ in range(4):
                client.command("FOO", "500")
            client.expect("421 4.7.0")
            client.expect_end()
        server.stop()


def test_zero_is_no_limit():
    with serve(config(engine="maxConnections: 0", smtp="maxLineLength: 0")) as server:
        with Client(server.addresses[0]) as client:
            client.command("NOOP " + "x" * 500000, "250")
            client.message()
            client.command("QUIT", "221")
        server.stop()


def test_timeout():
    with serve(config(smtp="connectionTimeout: 1s")) as server:
        with Client(server.addresses[0]) as client:
            client.expect("421 4.4.2")
            client.expect_end()
        server.stop()


# ---- the end

def test_drain():
    with serve(config()) as server:
        with Client(server.addresses[0]) as idle, Client(server.addresses[0]) as busy:
            with Client(server.addresses[0]) as between:
                idle.command("EHLO client.example", "250")
                busy.envelope()
                busy.command("DATA", "354")
                busy.send("first half\r\n")
                between.envelope()
                server.signal()
                idle.expect("421 4.3.2")
                idle.expect_end()
                assert server.process.poll() is None, "it waits for the transaction"
                busy.send("second half\r\n.\r\n")
                busy.expect("250 2.6.0")
                busy.command("MAIL FROM:<a@example.org>", "421 4.3.2")
                busy.expect_end()
                between.command("DATA", "354")
                between.command(".", "250 2.6.0")
                between.command("NOOP", "421 4.3.2")
                between.expect_end()
        equal(server.wait(), 0)


def test_nobody_is_accepted_while_draining():
    with serve(config()) as server, Client(server.addresses[0]) as busy:
        busy.envelope()
        busy.command("DATA", "354")
        server.signal()

        def is_refused():
            try:
                with Client(server.addresses[0], greeting=None) as client:
                    return client.reply().startswith("421 4.3.2")
            except (ConnectionRefusedError, ConnectionResetError):
                return True
        eventually(is_refused, "refused")
        busy.send(".\r\n")
        busy.expect("250")
        busy.close()
        equal(server.wait(), 0)


def test_second_signal_stops():
    with serve(config()) as server, Client(server.addresses[0]) as busy:
        busy.envelope()
        busy.command("DATA", "354")
        server.signal()
        eventually(lambda: server.logged("event=draining"), "draining")
        assert server.process.poll() is None
        server.signal()
        equal(server.wait(10), 0)


def test_drain_timeout():
    with serve(config(engine="drainTimeout: 1s")) as server, Client(server.addresses[0]) as busy:
        busy.envelope()
        busy.command("DATA", "354")
        server.signal()
        equal(server.wait(15), 0)


def test_sigint_ends_it_too():
    with serve(config()) as server:
        server.signal(signal.SIGINT)
        equal(server.wait(), 0)


def test_sighup_does_not_end_it():
    with serve(config()) as server:
        server.signal(signal.SIGHUP)
        with Client(server.addresses[0]) as client:
            client.message()
            client.command("QUIT", "221")
        server.stop()


# ---- exit codes

def test_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        path = write_config("domains: [example.com]\nspool: {durability: none}\nsmtpservers:\n"
                            f"  - {{bind: '127.0.0.1:{port}', handlerchain: []}}\n")
        result = mxring("serve", "-c", path)
    equal(result.returncode, 78, result.stderr)
    assert f"127.0.0.1:{port}" in result.stderr and "in use" in result.stderr, result.stderr


def test_port_of_another_mxring():
    with serve(config()) as server:
        result = mxring("sink", server.address)
        equal(result.returncode, 78, result.stderr)
        assert "in use" in result.stderr, result.stderr
        server.stop()


def test_a_spool_that_cannot_be_used():
    path = write_config("domains: [example.com]\nspool: {directory: /proc/mxring}\nsmtpservers:\n"
                        "  - {bind: '127.0.0.1:0', handlerchain: []}\n")
    result = mxring("serve", "-c", path)
    equal(result.returncode, 74, result.stderr)
    assert "/proc/mxring" in result.stderr, result.stderr


def test_bad_configuration():
    path = write_config("domains: [example.com]\nspool: {durability: none}\n"
                        "smtpservers:\n  - bindd: 127.0.0.1:0\n    handlerchain: []\n")
    result = mxring("serve", "-c", path)
    equal(result.returncode, 78, result.stderr)
    assert f"{path}:4:5: " in result.stderr and "bind" in result.stderr, result.stderr
    result = mxring("serve", "-c", path + ".missing")
    equal(result.returncode, 78, result.stderr)
    assert "No such file" in result.stderr, result.stderr


def test_usage():
    for arguments in ([], ["serve"], ["nonsense"], ["serve", "-c", "x", "y"], ["sink", "--foo"]):
        result = mxring(*arguments)
        equal(result.returncode, 2, f"{arguments}: {result.stderr}")
    assert mxring("--version").stdout.startswith("mxring ")


# ---- the log, systemd

def test_json_log():
    path = config(more="log: {level: debug}", smtp="connectionLimit: 1")
    with serve(path, "--log-format", "json") as server:
        with Client(server.addresses[0]) as client:
            client.command("EHLO x", "250")
            with Client(server.addresses[0], greeting="421"):
                pass
        server.signal()
        equal(server.wait(), 0)
        events = [json.loads(line)["event"] for line in server.lines]
    for event in ("durability", "listening", "draining", "stopped"):
        assert event in events, events


def test_loss_of_mail_is_said_in_the_log():
    with serve(config(more="log: {level: error}")) as server:
        server.stop()
        line = next(line for line in server.lines if "THROWN AWAY" in line)
    assert re.fullmatch(r'time=\S+ level=warn event=durability durability=none '
                        r'reason="accepted mail is THROWN AWAY"', line), line
    with serve(config(more="log: {level: error, format: json}")) as server:
        server.stop()
        line = next(line for line in server.lines if "THROWN AWAY" in line)
    values = json.loads(line)
    equal((values["level"], values["event"], values["durability"]), ("warn", "durability", "none"))


def test_notify():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            supervisor.bind(path)
            supervisor.settimeout(20)
            with serve(config(), environment={"NOTIFY_SOCKET": path}) as server:
                equal(supervisor.recv(100).split(b"\n")[0], b"READY=1")
                server.signal()
                equal(supervisor.recv(100).split(b"\n")[0], b"STOPPING=1")
                equal(server.wait(), 0)


# ---- half-closed and slow clients

def test_half_close_gets_all_replies():
    one = "MAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\ntext\r\n.\r\n"
    with serve(config()) as server, Client(server.addresses[0]) as client:
        client.send("EHLO client.example\r\n" + one * 200 + "NOOP\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        client.expect("250")
        for _ in range(200):
            for code in ("250 2.1.0", "250 2.1.5", "354", "250 2.6.0"):
                client.expect(code)
        client.expect("250 2.0.0")
        client.expect_end()
        server.stop()


def test_slow_reader_gets_all_replies():
    """Replies pile up until the server stops reading; nothing is lost when the client reads."""
    count = 15000
    with serve(config(engine="maxUnsent: 16K")) as server:
        with Client(server.addresses[0]) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.command("EHLO client.example", "250")
            child = os.fork()
            if child == 0:  # a second process writes, since writing blocks before all is sent
                try:
                    client.send("NOOP\r\n" * count + "QUIT\r\n")
                finally:
                    os._exit(0)
            for _ in range(count):
                client.expect("250 2.0.0")
            client.expect("221")
            client.expect_end()
            os.waitpid(child, 0)
        server.stop()


def test_half_close_of_a_slow_reader():
    count = 15000
    with serve(config(engine="maxUnsent: 16K")) as server:
        with Client(server.addresses[0]) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            child = os.fork()
            if child == 0:
                try:
                    client.send("NOOP\r\n" * count)
                    client.socket.shutdown(socket.SHUT_WR)
                finally:
                    os._exit(0)
            for _ in range(count):
                client.expect("250 2.0.0")
            client.expect_end()
            os.waitpid(child, 0)
        server.stop()


run(globals())
