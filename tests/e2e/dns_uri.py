"""URIRBLHandler: domains in messages, plain, in pieces, hidden in base64 and quoted-printable."""
import base64
import time

from lib_dns import NameServer
from lib_dns_hooks import ZONE, Session, config
from lib_mxring import equal, eventually, run, serve


def deliver(session, body):
    session.command("MAIL FROM:<a@mx.test>", "250")
    session.command("RCPT TO:<bob@example.com>", "250")
    session.command("DATA", "354")
    session.send("Subject: x\r\n\r\n" + body + "\r\n.\r\n")
    return session.reply().rstrip()


def test_uri_lists():
    chain = "{URIRBLHandler: {uriRblServers: [uri.test, uri2.test], timeout: 3s, onFailure: tempfail}}"
    bad = "554 5.7.0 Rejected: message contains domain {} listed by Optional[uri.test]"
    cases = {
        "nothing": "250",
        "see http://www.good.example/ and https://other.example": "250",
        "see HTTP://WWW.bad.EXAMPLE/x": bad.format("bad.example"),
        "see https://www.shop.co.example:8080/": bad.format("shop.co.example"),
        "see http://user:secret@bad.example": bad.format("bad.example"),
        "hhttp://bad.example": bad.format("bad.example"),
        "http:/bad.example http//bad.example ttp://bad.example": "250",
        "see http://bad.example:secret@good.example/": "250",
        "http://192.0.2.1/": "250",
        "<a href=\"https://slow.example\">": bad.format("slow.example"),
        "http://dead.example/": "451 4.7.1",
        "http://" + "a." * 150 + "bad.example/": bad.format("bad.example"),
    }
    with NameServer(ZONE) as dns, serve(config(chain, dns.port)) as server:
        with Session(server) as session:
            for body, wanted in cases.items():
                reply = deliver(session, body)
                assert reply.startswith(wanted), f"{body}: {reply}"
            for cut in range(1, 25):  # in two pieces
                body = "see https://bad.example/"
                session.command("MAIL FROM:<a@mx.test>", "250")
                session.command("RCPT TO:<bob@example.com>", "250")
                session.command("DATA", "354")
                session.send("Subject: x\r\n\r\n" + body[:cut])
                time.sleep(0.01)
                session.send(body[cut:] + "\r\n.\r\n")
                session.expect("554 5.7.0", f"cut at {cut}")
        server.stop()


def test_uri_lists_in_parts():
    """What base64 and quoted-printable hide from the eye, but not from a reader."""
    chain = "{URIRBLHandler: {uriRblServers: [uri.test], timeout: 3s}}"
    hidden = base64.encodebytes(b"<p>see https://bad.example/ and more</p>" * 3).decode()
    part = "--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: {}\r\n\r\n{}\r\n"
    cases = {
        ("base64", hidden.replace("\n", "\r\n")): "554 5.7.0",
        ("Quoted-Printable", "see =68ttp://b=\r\nad.ex=61mple/"): "554 5.7.0",
        ("7bit", hidden.replace("\n", "\r\n")): "250",
        ("8bit", "see =68ttp://bad.example/"): "250",
    }
    with NameServer(ZONE) as dns, serve(config(chain, dns.port)) as server:
        with Session(server) as session:
            for (encoding, text), wanted in cases.items():
                for mail in (f"Content-Transfer-Encoding: {encoding}\r\n\r\n{text}",
                             "Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
                             part.format("7bit", "nothing") + part.format(encoding, text) + "--b--"):
                    for command in ("MAIL FROM:<a@mx.test>", "RCPT TO:<bob@example.com>"):
                        session.command(command, "250")
                    session.command("DATA", "354")
                    session.send(f"Subject: x\r\n{mail}\r\n.\r\n")
                    session.expect(wanted, f"{encoding}: {mail}")
        server.stop()


def test_answers_of_a_message_before():
    """What comes too late for one message says nothing of the next one."""
    zone = {**ZONE, "one.example.uri.test": {"A": ["127.0.0.2"], "do": "held"},
            "two.example.uri.test": {"do": "held"}}
    chain = "{URIRBLHandler: {uriRblServers: uri.test, timeout: 30s}}"
    with NameServer(zone) as dns:
        rows = {"timeout": "20s", "deadline": "30s"}
        with serve(config(chain, dns.port, rows)) as server, Session(server) as session:
            assert deliver(session, "http://bad.example http://one.example").startswith("554 5.7.0")
            for command in ("MAIL FROM:<a@mx.test>", "RCPT TO:<bob@example.com>"):
                session.command(command, "250")
            session.command("DATA", "354")
            session.send("Subject: x\r\n\r\nhttp://two.example\r\n.\r\n")
            eventually(lambda: dns.count("two.example.uri.test"), "the second one asks")
            dns.release()
            session.expect("250", "the second message")
            server.stop()


def test_uri_detail():
    chain = "{URIRBLHandler: {uriRblServers: uri.test, getDetail: true}}"
    with NameServer(ZONE) as dns, serve(config(chain, dns.port)) as server:
        with Session(server) as session:
            equal(deliver(session, "http://bad.example"), "554 5.7.0 Rejected: message contains domain "
                  "bad.example listed by Optional[uri.test]. Details: phishing")
        server.stop()


run(globals())
