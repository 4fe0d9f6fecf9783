"""Rspamd and SpamAssassinHandler against scripted peers: good answers, and slow, silent, gone, lying and
endless ones. What they say counts, and within the timeout somebody decides."""
import json
import re
import socket
import tempfile
import threading
import time

from lib_mxring import Receiver, equal, eventually, mxring, run, serve, write_config
from milter import FAILED, counters, last, stored, without_received

MESSAGE = "From: a@example.org\r\nSubject: hello\r\nX-Spam: Yes\r\nX-Old: 1\r\nX-Old: 2\r\n\r\nbody\r\n"


def config(chain, directory=None, engine=""):
    spool = f"{{directory: {directory}/spool, segmentSize: 4M, reserve: 0}}" if directory else \
        "{durability: none}"
    return write_config(f"""\
engine: {{workers: 2, {engine}}}
domains: [example.com]
spool: {spool}
smtpservers:
  - bind: "127.0.0.1:0"
    helloName: mx.example
    verifyIdentity: disabled
    handlerchain: [{{{chain}}}]
""")


def attributes(directory):
    """What hooks have noted, of all messages."""
    listed = mxring("spool", "ls", f"{directory}/spool").stdout.split("\n")
    rows = [line.split()[0] for line in listed if line]
    envelopes = [json.loads(mxring("spool", "cat", "--envelope", f"{directory}/spool", row).stdout) for row in rows]
    return [f"{item['name']}={item['value']}" for envelope in envelopes for item in envelope["attributes"]]


class Peer(Receiver):
    """Reads one request, and then does what it is told: octets, "hang", "close", or a function."""

    def __init__(self, does):
        self.does, self.requests, self.ended = does, [], False
        super().__init__(Peer.one)
        self.port = int(self.address.split(":")[1])

    def one(self, peer, lines):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = lines.readline()
            if not line:
                return
            head += line
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        if self.does == "close at once":
            return
        self.requests.append((head.decode(), lines.read(length).decode()))
        does = self.does(self.requests[-1]) if callable(self.does) else self.does
        if does == "hang":
            while not self.ended:
                time.sleep(0.02)
        elif does == "endless":
            while not self.ended:
                peer.sendall(b"x" * 65536)
        elif does == "drip":
            for octet in http({"action": "reject"}):
                peer.sendall(bytes([octet]))
                time.sleep(0.001)
        elif does != "close":
            peer.sendall(does)

    def __exit__(self, *_):
        self.ended = True
        super().__exit__()


def http(value, status="200 OK"):
    body = (value if isinstance(value, str) else json.dumps(value)).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def rspamd(peer, more="", timeout="2s"):
    return f"Rspamd: {{address: '{peer.address}', timeout: {timeout}, {more}}}"


def spamd(peer, more=""):
    return f"SpamAssassinHandler: {{spamdPort: {peer.port}, timeout: 2s, onFailure: tempfail, {more}}}"


def test_rspamd_request():
    with Peer(http({"action": "no action"})) as peer, serve(config(rspamd(peer))) as server:
        equal(last(server, message=MESSAGE, recipients=("bob@example.com", "c@example.com"))[:3], "250", "mail")
        server.stop()
        (head, body), = peer.requests
    lines = head.split("\r\n")
    equal(lines[0], "POST /checkv2 HTTP/1.0", "the request")
    for line in ("IP: 127.0.0.1", "Helo: client.example", "From: a@example.org", "Rcpt: bob@example.com",
                 "Rcpt: c@example.com", "MTA-Name: mx.example", f"Content-Length: {len(body)}"):
        assert line in lines, (line, lines)
    equal(body, MESSAGE, "the message")


def test_rspamd_actions():
    cases = [({"action": "no action"}, "250"), ({"action": "greylist"}, "250"), ({"action": "add header"}, "250"),
             ({"action": "rewrite subject", "subject": "*** hello"}, "250"),
             ({"action": "reject"}, "554 5.7.1 Spam message rejected"),
             ({"action": "reject", "messages": {"smtp_message": "go away\r\nQUIT"}}, "554 5.7.1 go away??QUIT"),
             ({"action": "soft reject"}, "451 4.7.1 Try again later"),
             ({"action": "soft reject", "messages": {"smtp_message": "Greylisted"}}, "451 4.7.1 Greylisted"),
             ({"action": "discard"}, "250")]
    for answer, wanted in cases:
        with Peer(http(answer)) as peer, serve(config(rspamd(peer))) as server:
            equal(last(server, message=MESSAGE)[:len(wanted)], wanted, str(answer))
            server.stop()
            totals = next(line for line in server.lines if "event=totals" in line)
            equal("discarded=1" in totals, answer["action"] == "discard", str(answer))
    with Peer(http({"action": "greylist"})) as peer, serve(config(rspamd(peer, "greylist: tempfail"))) as server:
        equal(last(server, message=MESSAGE), "451 4.7.1 Try again later", "greylist: tempfail")
        server.stop()


def test_rspamd_changes():
    answers = [
        {"action": "add header", "score": 7.25, "required_score": 15,
         "milter": {"add_headers": {"X-A": "1", "X-B": {"value": "2\n 3", "order": 0}, "X-C": ["4", {"value": "5"}]},
                    "remove_headers": {"X-Old": 0}}},
        {"action": "rewrite subject", "subject": "*** hello", "score": -1.5, "required_score": 6.0,
         "milter": {"remove_headers": {"X-Old": 2, "X-Gone": 1}, "no_action": True}},
        {"action": "no action", "dkim-signature": "v=1; d=example.org;\r\n\tb=x", "score": 0}]
    queue = list(answers)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, Peer(lambda _: http(queue.pop(0))) as peer:
        with serve(config(rspamd(peer), directory=folder)) as server:
            for _ in answers:
                equal(last(server, message=MESSAGE)[:3], "250", "mail")
            server.stop()
        texts = sorted(without_received(text) for text in stored(folder))
        noted = sorted(attributes(folder))
    equal(texts, sorted([
        "X-B: 2\n 3\nRECEIVED\nFrom: a@example.org\nSubject: hello\nX-A: 1\nX-C: 4\nX-C: 5\nX-Spam: Yes\n\nbody\n",
        "RECEIVED\nFrom: a@example.org\nX-Spam: Yes\nX-Old: 1\nSubject: *** hello\n\nbody\n",
        "DKIM-Signature: v=1; d=example.org;\n\tb=x\nRECEIVED\nFrom: a@example.org\nSubject: hello\nX-Spam: Yes\n"
        "X-Old: 1\nX-Old: 2\n\nbody\n"]), "stored")
    equal(noted, ["rspamd.action=add header, score=7.25 required=15.0",
                  "rspamd.action=no action, score=0.0 required=0.0",
                  "rspamd.action=rewrite subject, score=-1.5 required=6.0"], "noted")


DEEP = "[" * 100000 + "]" * 100000
BAD_RSPAMD = {
    "gone at once": ("close at once", "broken"),
    "gone without a word": ("close", "broken"),
    "hangs": ("hang", "timeouts"),
    "endless": ("endless", "nonsense"),
    "endless body": (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300000, "too_long"),
    "half an answer": (http({"action": "reject"})[:-3], "nonsense"),
    "an error": (http({"error": "no"}, "500 Internal Error"), "broken"),
    "another server": (b"220 mail.example ESMTP\r\n", "nonsense"),
    "no JSON": (http("OK"), "nonsense"),
    "a list": (http([1]), "nonsense"),
    "deep": (http(DEEP), "nonsense"),
    "no action": (http({"score": 5}), "nonsense"),
    "an action that is no text": (http({"action": 5}), "nonsense"),
    "a score that is none": (http('{"action": "reject", "score": "high"}'), "nonsense"),
    "a score beyond": (http('{"action": "reject", "score": 1e300}'), "nonsense"),
    "an unknown action": (http({"action": "quarantine"}), "unoffered"),
    "no header name": (http({"action": "no action", "milter": {"add_headers": {"X Y": "z"}}}), "nonsense"),
    "no header value": (http({"action": "no action", "milter": {"add_headers": {"X": 5}}}), "nonsense"),
    "too many fields": (http({"action": "no action", "milter": {"add_headers": {"X": ["y" * 900] * 100}}}), "too_long"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "nonsense"),
}
BAD_SPAMD = {
    "gone at once": ("close at once", "broken"),
    "gone without a word": ("close", "broken"),
    "hangs": ("hang", "timeouts"),
    "endless": ("endless", "nonsense"),
    "an error": (b"SPAMD/1.0 76 Bad header line\r\n", "broken"),
    "no verdict": (b"SPAMD/1.1 0 EX_OK\r\n\r\n", "nonsense"),
    "another server": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "nonsense"),
    "half an answer": (b"SPAMD/1.1 0 EX_OK\r\nSpam: Tr", "broken"),
}


def check_bad(cases, chain):
    for name, (does, counter) in cases.items():
        with Peer(does) as peer, serve(config(chain(peer))) as server:
            begin = time.monotonic()
            reply = last(server, message=MESSAGE)
            assert reply.startswith(FAILED), f"{name}: {reply}"
            assert time.monotonic() - begin < 15, name
            server.stop()
            sums = counters(server)
            assert sums[counter] > 0, f"{name}: {sums}"
            equal(sums["open"] + sums["waiting"], 0, name)


def test_bad_rspamd():
    check_bad(BAD_RSPAMD, rspamd)
    with Peer("drip") as peer, serve(config(rspamd(peer))) as server:
        equal(last(server, message=MESSAGE)[:3], "554", "octet by octet")
        server.stop()


def test_bad_spamd():
    check_bad(BAD_SPAMD, spamd)


def test_spamd():
    answers = {"15.0 / 5.0": ("True", "YES", "Yes, hits=15.0 required=5.0"),
               "9.99 / 5.0": ("True", "YES", "Yes, hits=9.99 required=5.0"),
               "-0.1 / 5.0": ("False", "NO", "No, hits=-0.1 required=5.0")}
    for score, (word, flag, status) in answers.items():
        answer = f"SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: {word} ; {score}\r\n\r\n".encode()
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, Peer(answer) as peer:
            with serve(config(spamd(peer, "spamdRejectionHits: 10"), directory=folder)) as server:
                reply = last(server, message="X-Spam-Flag: NO\r\n" + MESSAGE)
                server.stop()
            head, body = peer.requests[0]
            assert head.startswith("CHECK SPAMC/1.2\r\n") and body.endswith(MESSAGE), (head, body)
            if score.startswith("15"):
                assert reply.startswith("554 5.7.0 This message reach the spam hits treshold."), reply
                continue
            equal(reply[:3], "250", score)
            text, = stored(folder)
            equal(re.findall("^X-Spam-.*$", text, re.M), [f"X-Spam-Flag: {flag}", f"X-Spam-Status: {status}"], text)
            equal(attributes(folder), [f"org.apache.james.spamassassin.flag={flag}",
                                       f"org.apache.james.spamassassin.status={status}"], score)
            with serve(config(spamd(peer, "headers: false"), directory=folder)) as server:
                equal(last(server, message=MESSAGE)[:3], "250", "without headers")
                server.stop()
            assert without_received(stored(folder)[-1]).startswith("RECEIVED\nFrom:"), "as it came"


def test_sizes():
    big = "Subject: x\r\n\r\n" + ("x" * 998 + "\r\n") * 700
    answer = b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15.0 / 5.0\r\n\r\n"
    for more, wanted in (("", "250"), ("onOversize: reject", "552 5.3.4"), ("maxScanSize: 1M", "554 5.7.0")):
        with Peer(answer) as peer, serve(config(spamd(peer, f"spamdRejectionHits: 7.5, {more}"))) as server:
            assert last(server, message=big).startswith(wanted), more
            server.stop()
            equal(counters(server)["too_large"], int("1M" not in more), more)


def test_many_at_once():
    """They share few connections, and all get their answer."""
    def slow(_):
        time.sleep(0.05)
        return http({"action": "no action"})
    with Peer(slow) as peer, serve(config(rspamd(peer, "maxConnections: 3", timeout="60s"))) as server:
        replies = []
        clients = [threading.Thread(target=lambda: replies.append(last(server, message=MESSAGE))) for _ in range(40)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        equal([reply[:3] for reply in replies], ["250"] * 40, "replies")
        server.stop()
        sums = counters(server)
        equal((sums["answered"], sums["open"], sums["waiting"]), (40, 0, 0), "counters")


def test_recovery():
    """Nobody listens, then somebody does: the next message is looked at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    chain = f"SpamAssassinHandler: {{spamdPort: {port}, timeout: 2s, onFailure: tempfail, spamdRejectionHits: 5}}"
    with serve(config(chain)) as server:
        assert last(server, message=MESSAGE).startswith(FAILED)
        with Peer(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15.0 / 5.0\r\n\r\n") as peer:
            peer.server.close()
            peer.server = socket.create_server(("127.0.0.1", port))
            threading.Thread(target=peer._accept, daemon=True).start()
            eventually(lambda: last(server, message=MESSAGE)[:3] == "554", "looked at")
        server.stop()
        assert counters(server)["connect_failed"] >= 1


def test_both():
    """Two scanners in a chain: each is shown the same, the second one's changes come on top."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, \
            Peer(http({"action": "no action", "milter": {"add_headers": {"X-A": "1"}}})) as first, \
            Peer(b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; 1.0 / 5.0\r\n\r\n") as second:
        chain = rspamd(first) + "}, {" + spamd(second)
        with serve(config(chain, directory=folder)) as server:
            equal(last(server, message=MESSAGE)[:3], "250", "mail")
            server.stop()
        equal(first.requests[0][1], second.requests[0][1], "the same")
        equal(re.findall("^X-[AS].*$", stored(folder)[0], re.M),
              ["X-Spam: Yes", "X-A: 1", "X-Spam-Flag: NO", "X-Spam-Status: No, hits=1.0 required=5.0"], "changes")


def test_configuration():
    for options, why in (("Rspamd: {address: 'rspamd:1'}", "is a name"),
                         ("SpamAssassinHandler: {spamdHost: spamd.example}", "spamdHost: 'spamd.example' is a name"),
                         ("SpamAssassinHandler: {spamdRejectionHits: many}", "'many' is not a number of hits"),
                         ("SpamAssassinHandler: {spamdPort: 0}", "spamdPort")):
        checked = mxring("check", "-c", config(options))
        equal(checked.returncode, 1, options)
        assert why in checked.stderr, checked.stderr
    for options in ("Rspamd", "SpamAssassinHandler", "SpamAssassinHandler: {spamdHost: 'unix:/x'}"):
        text = config("X: y")
        with open(text, encoding="ascii") as file:
            written = file.read().replace("{X: y}", options if ":" not in options else "{" + options + "}")
        checked = mxring("check", "-c", write_config(written))
        equal(checked.returncode, 0, checked.stderr)


if __name__ == "__main__":
    run(globals())
