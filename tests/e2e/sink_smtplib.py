"""Python's smtplib against mxring: SMTP and LMTP, sizes, 8 bits, dots, refusals."""
import smtplib

from lib_mxring import Client, config, equal, run, serve, sink

BODY = b"Subject: test\r\n\r\n"


def connect(server, kind=smtplib.SMTP, which=0):
    return kind(*server.addresses[which], local_hostname="client.example", timeout=20)


def count(*bodies, recipients=("bob@example.com",), kind=smtplib.SMTP, arguments=()):
    """Send the bodies over one connection; the sink's summary."""
    with sink("--workers", "2", *arguments) as server:
        with connect(server, kind) as client:
            for body in bodies:
                equal(client.sendmail("a@example.org", recipients, body), {}, "refused")
        return server.stop()


def test_one_message():
    totals = count(BODY + b"text\r\n")
    equal((totals["messages"], totals["recipients"], totals["connections"]), (1, 1, 1))
    equal(totals["bytes"], len(BODY) + 6)


def test_many_on_one_connection():
    totals = count(*[BODY + b"x" * n + b"\r\n" for n in range(200)])
    equal((totals["messages"], totals["connections"]), (200, 1))
    equal(totals["bytes"], sum(len(BODY) + n + 2 for n in range(200)))


def test_several_recipients():
    recipients = [f"user{n}@example.com" for n in range(300)]
    totals = count(BODY, recipients=recipients)
    equal((totals["messages"], totals["recipients"]), (1, 300))


def test_dots():
    body = BODY + b".\r\n..\r\n.a\r\n...b\r\n.\r\n"
    equal(count(body)["bytes"], len(body))


def test_eight_bits():
    totals = count(BODY + bytes(range(128, 256)) + b"\r\n")
    equal(totals["bytes"], len(BODY) + 130)
    equal(totals["counters"]["eightbit_data"], 1)


def test_bare_cr_and_nul_are_content():
    with sink() as server, Client(server.addresses[0]) as client:
        client.message("a\rb\0c\r\n")
        client.command("QUIT", "221")
        totals = server.stop()
    equal(totals["bytes"], 7)
    equal((totals["counters"]["bare_cr_data"], totals["counters"]["nul_data"]), (1, 1))


def test_empty_body():
    with sink() as server, Client(server.addresses[0]) as client:
        client.message("")
        client.command("QUIT", "221")
        equal(server.stop()["bytes"], 0)


def test_five_megabytes():
    body = BODY + (b"y" * 998 + b"\r\n") * 5243
    assert len(body) > 5 << 20
    equal(count(body, body)["bytes"], 2 * len(body))


def test_one_line_of_a_megabyte():
    body = BODY + b"z" * (1 << 20) + b"\r\n"
    equal(count(body)["bytes"], len(body))


def test_lmtp():
    # one recipient: smtplib reads only the first of the replies at the end
    totals = count(BODY, BODY, kind=smtplib.LMTP, arguments=["--lmtp"])
    equal((totals["messages"], totals["recipients"]), (2, 2))


def test_lmtp_answers_for_each_recipient():
    with sink("--lmtp") as server, Client(server.addresses[0]) as client:
        client.envelope(recipients=("bob@example.com", "alice@example.com"), hello="LHLO")
        client.command("DATA", "354")
        client.send("text\r\n.\r\n")
        assert "bob@example.com" in client.expect("250")
        assert "alice@example.com" in client.expect("250")
        client.command("QUIT", "221")
        equal(server.stop()["recipients"], 2)


def test_smtp_and_lmtp_in_one_process():
    with sink("127.0.0.1:0", "--lmtp", listeners=2) as server:
        by_proto = [("lmtp" if "proto=lmtp" in line else "smtp") for line in server.lines
                    if "event=listening" in line]
        equal(sorted(by_proto), ["lmtp", "smtp"])
        for index, proto in enumerate(by_proto):
            kind = smtplib.LMTP if proto == "lmtp" else smtplib.SMTP
            with connect(server, kind, index) as client:
                client.sendmail("a@example.org", "bob@example.com", BODY)
        equal(server.stop()["messages"], 2)


def test_bdat():
    with sink() as server, Client(server.addresses[0]) as client:
        client.envelope()
        client.send(b"BDAT 5\r\n\r\n.\r\n")
        client.expect("250 2.0.0 5 ")
        client.send(b"BDAT 6 LAST\r\nQUIT\r\n")
        client.expect("250 2.6.0")
        client.command("QUIT", "221")
        totals = server.stop()
    equal((totals["messages"], totals["bytes"]), (1, 11))


def test_everything_in_one_packet():
    one = ("MAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n"
           "text\r\n.\r\n")
    with sink() as server, Client(server.addresses[0]) as client:
        client.send("EHLO client.example\r\n" + one * 50 + "QUIT\r\n")
        client.expect("250")
        for _ in range(50):
            for code in ("250", "250", "354", "250"):
                client.expect(code)
        client.expect("221")
        client.expect_end()
        equal(server.stop()["messages"], 50)


def test_smtputf8_is_off_by_default():
    with serve(config()) as server, connect(server) as client:
        client.ehlo()
        assert not client.has_extn("smtputf8")
        client.quit()
        with Client(server.addresses[0]) as raw:
            raw.command("EHLO client.example", "250")
            raw.command("MAIL FROM:<jörg@example.org> SMTPUTF8", "501")
            raw.command("QUIT", "221")
        server.stop()


def test_smtputf8():
    with serve(config(smtp="smtpUtf8: true")) as server:
        with connect(server) as client:
            client.ehlo()
            assert client.has_extn("smtputf8")
            client.sendmail("jörg@müller.example", ["böb@example.com"], BODY,
                            mail_options=["SMTPUTF8"])
        with Client(server.addresses[0]) as client:  # the parameter has to be there
            client.command("EHLO client.example", "250")
            client.command("MAIL FROM:<jörg@müller.example>", "550 5.6.7")
            client.command("QUIT", "221")
        server.stop()


def test_commands_without_use():
    with serve(config()) as server, connect(server) as client:
        for command in ("VRFY bob", "EXPN list", "HELP"):
            equal(client.docmd(command)[0], 502, command)
        equal(client.docmd("FOO")[0], 500, "FOO")
        equal(client.noop()[0], 250)
        equal(client.docmd("MAIL", "FROM:<a@example.org>")[0], 503, "MAIL before EHLO")
        equal(client.ehlo()[0], 250)
        for name in ("pipelining", "enhancedstatuscodes", "8bitmime", "chunking", "binarymime"):
            assert client.has_extn(name), name
        equal(client.esmtp_features["size"], str(100 << 20))
        equal(client.docmd("RCPT", "TO:<bob@example.com>")[0], 503, "RCPT before MAIL")
        equal(client.docmd("DATA")[0], 503, "DATA before MAIL")
        equal(client.docmd("MAIL", "FROM:<a@example.org>")[0], 250)
        equal(client.docmd("MAIL", "FROM:<a@example.org>")[0], 503, "MAIL twice")
        equal(client.rset()[0], 250)
        equal(client.quit()[0], 221)
        server.stop()


def test_message_size():
    with serve(config(smtp="maxMessageSize: 10K")) as server:
        with connect(server) as client:
            client.ehlo()
            equal(client.esmtp_features["size"], "10240")
            equal(client.docmd("MAIL", "FROM:<a@example.org> SIZE=10241")[0], 552)
        with Client(server.addresses[0]) as client:
            client.envelope()
            client.command("DATA", "354")
            client.send("x" * 20000 + "\r\n.\r\n")
            client.expect("552")
            client.message()  # the session goes on
            client.command("QUIT", "221")
        server.stop()


run(globals())
