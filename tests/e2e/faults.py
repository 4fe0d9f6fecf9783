"""The fault options of mxring sink: at each place, of each kind."""
import time

from lib_mxring import Client, equal, mxring, run, sink

MAIL, RCPT = "MAIL FROM:<a@example.org>", "RCPT TO:<bob@example.com>"
# what a client says, one command after the other, and what it hears without faults
DIALOGUE = [("EHLO c.example", "250", "EHLO"), ("VRFY x", "502", "VRFY"), ("NOOP", "250", "NOOP"),
            ("FOO", "500", "UNKNOWN"), (MAIL, "250", "MAIL"), (RCPT, "250", "RCPT"),
            ("RSET", "250", "RSET"), ("QUIT", "221", "QUIT")]
LINES = {place: line for line, _, place in DIALOGUE}
HARD, SOFT = "500 5.3.0", "450 4.3.0"


def walk(client, place):
    """Everything in front of the place works as always."""
    for line, code, name in DIALOGUE:
        if name == place:
            return
        client.command(line, code)


def test_refusals_at_commands():
    for option, code in (("-f", HARD), ("--soft-reject", SOFT)):
        for place in ("EHLO", "VRFY", "NOOP", "UNKNOWN", "MAIL", "RCPT", "RSET", "QUIT"):
            with sink(option, place) as server:
                with Client(server.addresses[0]) as client:
                    walk(client, place)
                    client.command(LINES[place], code)
                    client.command("HELP", "502")  # the session goes on
                server.stop()  # without the client, whose transaction it would wait for


def test_refused_data():
    with sink("-r", "DATA") as server, Client(server.addresses[0]) as client:
        client.envelope()
        client.command("DATA", SOFT)
        client.command("QUIT", "221")
        equal(server.stop()["messages"], 0)


def check_dot(option, code, send, hello="EHLO", arguments=(), recipients=1):
    """The message is refused as a whole, and the session goes on with the next."""
    with sink(option, ".", *arguments) as server, Client(server.addresses[0]) as client:
        for _ in range(2):
            client.envelope(hello=hello, recipients=[f"u{n}@example.com"
                                                     for n in range(recipients)])
            send(client)
            for _ in range(recipients):
                client.expect(code)
            client.command("NOOP", "250 2.0.0 OK")
        client.command("QUIT", "221")
        totals = server.stop()
    equal((totals["messages"], totals["counters"]["messages_refused"]), (0, 2))


def send_data(client):
    client.command("DATA", "354")
    client.send("text\r\n.\r\n")


def send_bdat(client):
    client.send("BDAT 6 LAST\r\ntext\r\n")


def test_refused_end_of_data():
    check_dot("-f", HARD, send_data)
    check_dot("-r", SOFT, send_data)


def test_refused_end_of_bdat():
    check_dot("-f", HARD, send_bdat)
    check_dot("-r", SOFT, send_bdat)


def test_refused_end_of_lmtp():
    check_dot("-r", SOFT, send_data, hello="LHLO", arguments=["--lmtp"], recipients=3)


def test_disconnect():
    for option, code in (("-q", None), ("-Q", "421 4.3.0")):
        for place in ("EHLO", "NOOP", "RCPT", "UNKNOWN"):
            with sink(option, place) as server, Client(server.addresses[0]) as client:
                walk(client, place)
                client.send(LINES[place] + "\r\n")
                if code:
                    client.expect(code)
                client.expect_end()
                server.stop()


def test_disconnect_at_once():
    with sink("-q", "CONNECT") as server:
        with Client(server.addresses[0], greeting=None) as client:
            client.expect_end()
        server.stop()
    with sink("-Q", "CONNECT") as server:
        with Client(server.addresses[0], greeting="421 4.3.0") as client:
            client.expect_end()
        server.stop()


def test_disconnect_at_the_end_of_data():
    for option, code in (("-q", None), ("-Q", "421 4.3.0")):
        with sink(option, ".") as server, Client(server.addresses[0]) as client:
            client.envelope()
            client.command("DATA", "354")
            client.send("text\r\n.\r\n")
            if code:
                client.expect(code)
            client.expect_end()
            equal(server.stop()["messages"], 0)


def test_delay():
    with sink("-W", "CONNECT,NOOP,.:300") as server:
        begin = time.monotonic()
        with Client(server.addresses[0]) as client:
            assert time.monotonic() - begin >= 0.28, "the greeting"
            begin = time.monotonic()
            client.command("EHLO c.example", "250")
            begin = time.monotonic()
            client.send("NOOP\r\n" * 3)  # one after the other
            for _ in range(3):
                client.expect("250")
            assert time.monotonic() - begin >= 0.85
            client.envelope()
            client.command("DATA", "354")
            begin = time.monotonic()
            client.send("text\r\n.\r\n")
            client.expect("250")
            assert time.monotonic() - begin >= 0.28, "the end of data"
            client.command("QUIT", "221")
        equal(server.stop()["messages"], 1)


def test_delay_and_refusal():
    with sink("-W", ".:200", "-f", ".") as server, Client(server.addresses[0]) as client:
        client.envelope()
        client.command("DATA", "354")
        begin = time.monotonic()
        client.send("text\r\n.\r\n")
        client.expect(HARD)
        assert time.monotonic() - begin >= 0.18
        client.command("QUIT", "221")
        equal(server.stop()["messages"], 0)


def test_refused_bdat_command_skips_its_chunk():
    """Octets of a chunk are not commands, whatever became of the command in front of them."""
    with sink("-r", "BDAT") as server, Client(server.addresses[0]) as client:
        client.envelope()
        client.send(b"BDAT 6 LAST\r\nQUIT\r\n")
        client.expect(SOFT)
        client.command("NOOP", "250")
        client.command("QUIT", "221")
        equal(server.stop()["messages"], 0)


def test_wrong_places():
    for arguments in (["-f", "FOO"], ["-f", ""], ["-q", "RCPT,"], ["-Q", ",RCPT"],
                      ["-W", "DATA"], ["-W", "DATA:0"], ["-W", "DATA:x"], ["-W", ":5"], ["-W", ""],
                      ["-W", "DATA:-5"], ["-W", "DATA:+5"], ["-W", "DATA: 5"], ["-W", "DATA:5ms"],
                      ["-W", "DATA:3600001"], ["-W", "DATA:-18446744073709551611"]):
        result = mxring("sink", *arguments, "127.0.0.1:0")
        equal(result.returncode, 2, arguments)
        assert result.stderr.startswith("mxring sink: '"), result.stderr


run(globals())
