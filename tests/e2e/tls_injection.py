"""What is put behind STARTTLS, or into the handshake, by somebody on the way is never run, stored or
echoed: every cut of the line and of what follows it, in one packet or in several, in clear and in
the middle of the handshake (CVE-2011-0411, CVE-2021-38542)."""
import socket
import ssl
import time

from lib_mxring import SLOW, Client, equal, run
from lib_tls import Keys, TlsClient, context, serve

EVIL = b"EHLO evil.test\r\nMAIL FROM:<evil@evil.test>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nevil\r\n.\r\n"
LINE = b"STARTTLS\r\n"
REFUSED = "451 Unable to process request\r\n"


def rest_of(client):
    try:
        return client.file.read()
    except ConnectionResetError:
        return b""


def expect_no_evil(server):
    """Of all that was sent nothing was run: no command, no message, no name in the log."""
    assert not server.logged("evil"), [line for line in server.lines if "evil" in line]
    assert not server.logged("event=message"), "a message was taken"


def test_in_one_packet():
    with Keys() as keys, serve(keys.tls()) as server:
        for length in list(range(1, len(EVIL), 7)) + [len(EVIL)]:
            with Client(server.addresses[0]) as client:
                client.send(LINE + EVIL[:length])
                equal(client.reply(), REFUSED, f"{length} octets")
                equal(rest_of(client), b"", f"{length} octets")
        expect_no_evil(server)
        equal(server.stop(), None)


def test_cut_in_the_line():
    """The line comes in two packets; what follows it comes with its end."""
    with Keys() as keys, serve(keys.tls()) as server:
        for cut in range(1, len(LINE)):
            with Client(server.addresses[0]) as client:
                client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.send(LINE[:cut])
                time.sleep(0.02)
                client.send(LINE[cut:] + EVIL)
                equal(client.reply(), REFUSED, f"cut at {cut}")
                equal(rest_of(client), b"", f"cut at {cut}")
        expect_no_evil(server)


def test_in_its_own_packet():
    """It comes when the server has begun to wait for a ClientHello: no TLS, and an alert at most."""
    with Keys() as keys, serve(keys.tls()) as server:
        for length in (1, 4, 5, 6, 20, len(EVIL)):
            for waits in (False, True):
                with Client(server.addresses[0]) as client:
                    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    client.send(LINE)
                    if waits:
                        client.expect("220")
                    client.send(EVIL[:length])
                    client.socket.shutdown(socket.SHUT_WR)
                    said = rest_of(client)
                    if not waits:
                        said = said.removeprefix(REFUSED.encode()) if said.startswith(b"451") else \
                            said.removeprefix(b"220 2.0.0 Ready to start TLS\r\n")
                    assert said == b"" or said[0] == 21, said  # an alert
        expect_no_evil(server)


def hello_of(use):
    """A ClientHello, and the object that goes on with it."""
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = use.wrap_bio(inward, outward, server_hostname="mx.test")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return client, inward, outward


def test_within_the_handshake():
    """Octets in clear before, within and behind each flight of the client's."""
    with Keys() as keys, serve(keys.tls()) as server:
        for version in ("1.2", "1.3"):
            for where in range(0, 300, 13):
                for flight in (0, 1):
                    play_flights(server, context(version), where, flight)
        expect_no_evil(server)


def play_flights(server, use, where, flight):
    with Client(server.addresses[0]) as client:
        client.command("STARTTLS", "220")
        tls, inward, outward = hello_of(use)
        for number in range(2):
            data = outward.read()
            if number == flight:
                at = min(where, len(data))
                client.send(data[:at] + EVIL + data[at:])
                break
            client.send(data)
            inward.write(client.socket.recv(65536))
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
        client.socket.settimeout(SLOW)
        client.socket.shutdown(socket.SHUT_WR)
        said = rest_of(client)
        assert not any(word in said for word in (b"evil", b"250 2.", b"250-mx")), said


def test_an_answer_is_not_carried_over():
    """Everything that the server says in clear is before the handshake: nothing of it is inside."""
    with Keys() as keys, serve(keys.tls()) as server:
        for version in ("1.2", "1.3"):
            with TlsClient(server.addresses[0], context(version)) as client:
                client.send("NOOP\r\nRSET\r\nFOO\r\nSTARTTLS\r\n")
                for code in ("250", "250", "500", "220"):
                    client.expect(code)
                client.handshake()
                client.command("NOOP", "250")
                client.command("MAIL FROM:<a@x.org>", "503")
                client.command("QUIT", "221")
                equal(rest_of(client), b"")


def test_clear_text_where_tls_begins_at_once():
    """Case 127: no banner in clear."""
    with Keys() as keys, serve(keys.tls("socketTLS: true")) as server:
        for text in (b"EHLO c.test\r\n", b"QUIT\r\n", b"\r\n", EVIL):
            with Client(server.addresses[0], greeting=None) as client:
                client.send(text)
                client.socket.shutdown(socket.SHUT_WR)
                said = rest_of(client)
                assert said == b"" or said[0] == 21, said
        expect_no_evil(server)


def test_tls_where_none_is_offered():
    """A ClientHello on a port in clear is a bad command; the server goes on."""
    with serve("") as server:
        _, _, outward = hello_of(context())
        with Client(server.addresses[0]) as client:
            client.send(outward.read() + b"\r\nQUIT\r\n")
            assert b"221 2.0.0" in rest_of(client)


def test_after_login_it_is_refused():
    with Keys() as keys, serve(keys.tls()) as server:
        with TlsClient(server.addresses[0]) as client:
            client.starttls()
            client.command("EHLO c.test", "250")
            client.command("STARTTLS", "500")
            client.send("STARTTLS\r\nNOOP\r\n")
            client.expect("500")
            client.expect("250")


run(globals())
