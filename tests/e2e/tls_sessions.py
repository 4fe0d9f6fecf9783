"""Sessions of TLS: resumed by any worker and after a restart, in long chains; handshakes that stall,
fail or come when there is no memory; big messages, many records, a client that does not read."""
import os
import socket
import ssl

from lib_mxring import SLOW, Client, Server, equal, eventually, run
from lib_tls import Keys, TlsClient, context, serve


def resume(address, use, session, count=1):
    """Connect so often, each time with what the last one gave; how many were resumed."""
    resumed = 0
    for _ in range(count):
        with TlsClient(address, use, implicit=True, session=session) as client:
            client.command("NOOP", "250")
            resumed += client.socket.session_reused
            session = client.socket.session  # the ticket has come with the answer
            client.command("QUIT", "221")
    return resumed, session


def test_300_chained_resumptions():
    """The library counts a chain in one octet; a client that always takes the newest ticket must
    not notice. Both workers serve them."""
    for version in ("1.2", "1.3"):
        with Keys() as keys, serve(keys.tls("socketTLS: true"), level="info") as server:
            resumed, _ = resume(server.addresses[0], context(version), None, 300)
            assert 290 <= resumed <= 299, (version, resumed)
            equal(server.stop(), None)


def test_resumed_by_another_worker():
    """One sink a worker: what one has begun, all can go on with."""
    with Keys() as keys:
        with Server("sink", "--workers", "2", "--tls-cert", keys.path("ecdsa.pem"), "--tls-key",
                    keys.path("ecdsa.key"), "--tls", "127.0.0.1:0") as server:
            for version in ("1.2", "1.3"):
                use = context(version)
                _, session = resume(server.addresses[0], use, None)
                equal(resume(server.addresses[0], use, session, 20)[0], 20, version)
            summary = server.stop()
            equal(summary["counters"]["tls_resumed"], 40)
            assert min(summary["worker_connections"]) > 0, summary["worker_connections"]


def test_tickets_survive_a_restart_with_a_key_file():
    with Keys() as keys:
        with open(keys.path("tickets"), "wb") as file:
            file.write(os.urandom(48))
        for engine, resumed in ((f"tlsTicketKeyFile: {keys.path('tickets')}", 1), ("", 0)):
            session, use = None, context("1.3")
            for number in range(2):
                with serve(keys.tls("socketTLS: true"), engine=engine) as server:
                    count, session = resume(server.addresses[0], use, session)
                    equal(count, resumed if number == 1 else 0, engine)


def test_a_ticket_of_another_server_is_refused():
    """Each server has a realm of its own: a session is not carried from one to the other."""
    with Keys() as keys:
        first, second = (keys.tls("socketTLS: true") for _ in range(2))
        text = f'{first}}}\n  - {{bind: "127.0.0.1:0", name: other, helloName: b.test, ' \
               f"handlerchain: [], {second}"
        with serve(text, listeners=2) as server:
            use = context("1.3")
            _, session = resume(server.addresses[0], use, None)
            equal(resume(server.addresses[1], use, session)[0], 0)
            equal(resume(server.addresses[0], use, session)[0], 1)


def test_no_resumption_when_it_is_off():
    with Keys() as keys, serve(keys.tls("socketTLS: true", more="sessionTimeout: 0")) as server:
        for version in ("1.2", "1.3"):
            equal(resume(server.addresses[0], context(version), None, 5)[0], 0, version)


def test_a_handshake_that_stalls_is_ended():
    with Keys() as keys, serve(keys.tls("socketTLS: true", more="handshakeTimeout: 1s")) as server:
        for said in (b"", b"\x16\x03\x01\x02\x00\x01"):
            with Client(server.addresses[0], greeting=None) as client:
                client.send(said)
                equal(client.file.read(), b"")
        eventually(lambda: server.logged("row=tls.handshakeTimeout"), "the log")
        equal(server.stop(), None)


def test_clear_text_is_sent_away():
    """socketTLS: no banner to who waits for one, and the end for who speaks in clear."""
    with Keys() as keys, serve(keys.tls("socketTLS: true")) as server:
        with Client(server.addresses[0], greeting=None) as client:
            client.socket.settimeout(0.3)
            try:
                assert False, client.socket.recv(100)
            except TimeoutError:
                pass
            client.socket.settimeout(SLOW)
            client.send("EHLO c.test\r\n")
            said = client.file.read()
            assert b"220" not in said and b"mx" not in said and len(said) <= 7, said
        equal(server.stop(), None)


def test_garbage():
    with Keys() as keys, serve(keys.tls("socketTLS: true")) as server:
        for said in (b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 70000, os.urandom(3000),
                     b"\x80\x2e\x01\x00\x02" + b"\0" * 60, b"\x15\x03\x03\x00\x02\x02\x28"):
            with Client(server.addresses[0], greeting=None) as client:
                try:
                    client.send(said)
                    client.socket.shutdown(socket.SHUT_WR)
                    client.file.read()
                except (ConnectionResetError, BrokenPipeError):
                    pass
        equal(resume(server.addresses[0], context(), None)[0], 0)
        equal(server.stop(), None)


def test_no_memory_for_tls():
    """engine.tlsMemory: whoever comes beyond it is refused and told so; then there is room again."""
    with Keys() as keys, serve(keys.tls(), engine="tlsMemory: 4M") as server:
        open_ones, refused = [], 0
        try:
            for _ in range(1000):
                client = TlsClient(server.addresses[0])
                client.send("STARTTLS\r\n")
                reply = client.reply()
                if reply.startswith("454 4.7.0"):
                    refused += 1
                    client.command("NOOP", "250")
                    client.close()
                    break
                assert reply.startswith("220"), reply
                client.handshake()
                open_ones.append(client)
            equal(refused, 1, f"{len(open_ones)} sessions in twice 4 MiB")
            assert len(open_ones) >= 40, len(open_ones)
            eventually(lambda: server.logged("row=engine.tlsMemory"), "the log")
            for client in open_ones:
                client.command("NOOP", "250")
        finally:
            for client in open_ones:
                client.close()

        def again():
            with TlsClient(server.addresses[0]) as client:
                client.send("STARTTLS\r\n")
                return client.reply().startswith("220")
        eventually(again, "room again")
        equal(server.stop(), None)


def test_little_memory_lasts():
    """What the library keeps from one handshake to the next (Debian's: tables of points) does not
    use up engine.tlsMemory, with nobody there."""
    use = context()
    use.set_ecdh_curve("prime256v1")
    with Keys() as keys, serve(keys.tls("socketTLS: true"), engine="tlsMemory: 4M") as server:
        for number in range(60):
            with TlsClient(server.addresses[0], use, implicit=True) as client:
                client.command("QUIT", "221")
        equal(server.stop(), None)


def test_a_client_that_does_not_read():
    """Replies are bounded inside TLS as they are in clear; everything is answered in the end."""
    with Keys() as keys, serve(keys.tls("socketTLS: true")) as server:
        with TlsClient(server.addresses[0], implicit=True) as client:
            # Little under way: what finds two full sockets is sent again by TCP only seconds later.
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            client.socket.settimeout(0.5)
            sent = 0
            try:
                while sent < 1 << 22:
                    client.socket.sendall(b"NOOP\r\n" * 2000)
                    sent += 2000
            except (TimeoutError, ssl.SSLWantWriteError, socket.timeout):
                pass
            assert sent < 1 << 22, "the server reads commands although nobody reads its replies"
            client.socket.settimeout(SLOW)
            for _ in range(sent):
                client.expect("250")
        equal(server.stop(), None)


def test_half_closed_behind_the_last_command():
    """All is sent at once, with the end of the connection behind it: all is answered."""
    with Keys() as keys, serve(keys.tls("socketTLS: true")) as server:
        for version in ("1.2", "1.3"):
            with TlsClient(server.addresses[0], context(version), implicit=True) as client:
                client.send("EHLO c.test\r\nMAIL FROM:<a@x.org>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n"
                            "x\r\n.\r\nQUIT\r\n")
                socket.socket.shutdown(client.socket, socket.SHUT_WR)
                for code in ("250", "250", "250", "354", "250", "221"):
                    client.expect(code)


def test_drain_tells_sessions_inside():
    with Keys() as keys, serve(keys.tls("socketTLS: true")) as server:
        with TlsClient(server.addresses[0], implicit=True) as idle, \
                TlsClient(server.addresses[0], implicit=True) as busy, \
                Client(server.addresses[0], greeting=None) as opening:
            busy.envelope()
            busy.command("DATA", "354")
            server.signal()
            idle.expect("421 4.3.2")
            equal(opening.file.read(), b"")
            busy.send("x\r\n.\r\n")
            busy.expect("250 2.6.0")
        equal(server.wait(), 0)


run(globals())
