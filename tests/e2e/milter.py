"""Milter: a scripted filter that is good, slow, silent, gone, lying or gone mad. Its word counts, and
within the timeout somebody decides."""
import re
import struct
import tempfile
import time

from lib_milter import (ACCEPT, DISCARD, PROGRESS, REJECT, SKIP, TEMPFAIL, CONTINUE, Milter, add, change,
                        insert, packet, reply)
from lib_mxring import MXRING, Client, equal, eventually, mxring, run, serve, write_config

FAILED = "451 4.7.1 Temporary problem"
GOOD = packet(CONTINUE)
MESSAGE = "From: a@example.org\r\nSubject: one\r\n two\r\nX-Old: 1\r\nX-Old: 2\r\n\r\nbody\r\n"


def config(milter, more="", directory=None, engine="", servers=1):
    spool = f"{{directory: {directory}/spool, segmentSize: 4M, reserve: 0}}" if directory else \
        "{durability: none}"
    address = milter if isinstance(milter, str) else milter.address
    server = f"""\
  - bind: "127.0.0.1:0"
    helloName: mx.example
    verifyIdentity: disabled
    handlerchain: [{{Milter: {{address: "{address}", timeout: 2s, {more}}}}}]
"""
    return write_config(f"""\
engine: {{workers: 2, {engine}}}
domains: [example.com]
spool: {spool}
smtpservers:
{server * servers}""")


def counters(server, event="scan"):
    """What the server said of an event when it ended."""
    line = next(line for line in reversed(server.lines) if f"event={event} " in line)
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)\b", line)}


def say(client, line):
    client.send(line + "\r\n")
    return client.reply().rstrip("\r\n")


def talk(server, message=MESSAGE, recipients=("bob@example.com",)):
    """One transaction: the replies from the greeting on, up to the first refusal or the end."""
    with Client((server.host, server.port), greeting=None) as client:
        replies = [client.reply().rstrip("\r\n")]
        lines = ["EHLO client.example", "MAIL FROM:<a@example.org>",
                 *(f"RCPT TO:<{rcpt}>" for rcpt in recipients), "DATA", message + "."]
        for line in lines:
            if not replies[-1].startswith(("2", "3")):
                break
            replies.append(say(client, line))
        return replies


def last(server, **how):
    return talk(server, **how)[-1]


def stored(directory):
    """The messages in the spool, the oldest one first."""
    listed = mxring("spool", "ls", f"{directory}/spool")
    equal(listed.returncode, 0, listed.stderr)
    rows = [line.split()[0] for line in listed.stdout.splitlines()]
    texts = [mxring("spool", "cat", f"{directory}/spool", row).stdout for row in rows]
    return [text.replace("\r\n", "\n") for text in texts]


def without_received(text):
    return re.sub(r"Received: .*\n( .*\n)*", "RECEIVED\n", text)


def test_what_it_hears():
    with Milter() as milter, serve(config(milter)) as server:
        equal(last(server, recipients=("bob@example.com", "c@example.com"))[:3], "250", "a message")
        server.stop()
    equal(milter.heard(), ["negotiate", "connect", "helo", "mail", "rcpt", "rcpt", "data", "header", "header",
                           "header", "header", "eoh", "body", "eom", "quit", "end"], "commands")
    equal(milter.data("connect"), [b"[127.0.0.1]\x004\0\x00127.0.0.1\0"], "connect")
    equal(milter.data("helo"), [b"client.example\0"], "helo")
    equal(milter.data("mail"), [b"<a@example.org>\0"], "mail")
    equal(milter.data("rcpt"), [b"<bob@example.com>\0", b"<c@example.com>\0"], "rcpt")
    equal(milter.data("header"), [b"From\0a@example.org\0", b"Subject\0one\n two\0", b"X-Old\x001\0",
                                  b"X-Old\x002\0"], "header: ours is not told")
    equal(milter.data("body"), [b"body\r\n"], "body")
    macros = b"".join(milter.data("macros"))
    for text in (b"Cj\0mx.example\0", b"{client_addr}\x00127.0.0.1\0", b"{daemon_name}\0smtpserver\0",
                 b"{mail_addr}\0a@example.org\0", b"{rcpt_addr}\0c@example.com\0"):
        assert text in macros, (text, macros)
    offered = struct.unpack(">III", milter.data("negotiate")[0])
    equal(offered, (6, 0x11, 0x1FF7FF), "no more is offered than can be kept")


def test_verdicts():
    """At each point: rejects, tempfails, its own words, accepts, discards."""
    refused = {"connect": ("554 5.7.1 Access denied", "421 4.7.1 Service unavailable - try again later")}
    usual = ("550 5.7.1 Command rejected", "451 4.7.1 Service unavailable - try again later")
    for name in ("connect", "helo", "mail", "rcpt", "data", "header", "eoh", "body", "eom"):
        hard, soft = refused.get(name, usual)
        cases = [(packet(REJECT), hard), (packet(TEMPFAIL), soft), (reply("550 5.1.1 no %% here"),
                 "550 5.1.1 no % here"), (packet(ACCEPT), "250"), (packet(DISCARD), "250"),
                 (packet(b"4"), "421 4.7.0 Closing connection"), (packet(PROGRESS) * 3 + GOOD, "250")]
        for does, wanted in cases:
            with Milter({name: does}) as milter, serve(config(milter)) as server:
                replies = talk(server)
                assert replies[-1].startswith(wanted), f"{name} {does}: {replies}"
                server.stop()
                log = milter.heard()
                equal("eom" in log, name == "eom" or does[-1:] == b"c", f"{name} {does} {log}")
                discarded = "discarded=1" in next(line for line in server.lines if "event=totals" in line)
                equal(discarded, does == packet(DISCARD) and name not in ("connect", "helo"), f"{name} {does}")


def test_quarantine():
    """Offered when the configuration says what becomes of it; not kept apart in any case."""
    does = {"eom": packet(b"q", b"why\0") + GOOD}
    for more, offered, wanted in (("", 0x11, FAILED), ("quarantine: tempfail", 0x31, "451 4.7.1 Message quarantined"),
                                  ("quarantine: reject", 0x31, "550 5.7.1 Message quarantined")):
        with Milter(does) as milter, serve(config(milter, more)) as server:
            assert last(server).startswith(wanted), more
            server.stop()
        equal(struct.unpack(">III", milter.data("negotiate")[0])[1], offered, more)


def test_memory_is_flat():
    """Messages that a filter crashes over, one after the other: nothing stays behind."""
    big = "Subject: x\r\n\r\n" + ("x" * 998 + "\r\n") * 200
    with Milter({"body": "close"}) as milter, serve(config(milter, "onFailure: accept")) as server:
        with Client((server.host, server.port)) as client:
            for _ in range(100):
                client.message(big)
            before = server.rss_kib()
            for _ in range(400):
                client.message(big)
            grown = server.rss_kib() - before
            client.command("QUIT", "221")
        server.stop()
        equal(counters(server)["broken"], 500, "crashes")
        # a sanitizer keeps what was freed for a while
        assert "/asan/" in MXRING or "/tsan/" in MXRING or grown < 20000, f"{grown} KiB for 400 messages of 200 KB"


def test_refused_recipients():
    with Milter({"rcpt": [packet(REJECT), GOOD]}) as milter, serve(config(milter)) as server:
        with Client((server.host, server.port)) as client:
            client.command("EHLO c", "250")
            client.command("MAIL FROM:<a@example.org>", "250")
            client.command("RCPT TO:<x@example.com>", "550 5.7.1")
            client.command("RCPT TO:<y@example.com>", "250")
            client.command("DATA", "354")
            client.send(MESSAGE + ".\r\n")
            client.expect("250")
            client.command("MAIL FROM:<b@example.org>", "250")
            client.command("RSET", "250")
            client.command("MAIL FROM:<c@example.org>", "250")
            client.command("QUIT", "221")
        server.stop()
    equal(milter.heard()[-6:], ["eom", "mail", "abort", "mail", "quit", "end"], "behind the message")
    equal(len(milter.sessions), 1, "conversations")


def test_wishes():
    """What it does not want to hear is not told; what it does not answer is not waited for."""
    cases = {
        0x03: ["mail", "rcpt", "data", "header", "header", "header", "header", "eoh", "body", "eom"],
        0x1F | 0x20 | 0x40 | 0x200: ["eom"],
        0x10: ["connect", "helo", "mail", "rcpt", "data", "header", "header", "header", "header", "eoh", "eom"],
        0xFF080 & ~(1 << 11 | 1 << 8 | 1 << 9 | 1 << 10): ["connect", "helo", "mail", "rcpt", "data", "header",
                                                         "header", "header", "header", "eoh", "body", "eom"],
    }
    for protocol, wanted in cases.items():
        with Milter(protocol=protocol) as milter, serve(config(milter)) as server:
            equal(last(server)[:3], "250", hex(protocol))
            server.stop()
        equal(milter.heard(), ["negotiate", *wanted, "quit", "end"], hex(protocol))
    with Milter(protocol=1 << 20) as milter, serve(config(milter)) as server:
        equal(last(server)[:3], "250", "leading space")
        server.stop()
    equal(milter.data("header")[0], b"From\0 a@example.org\0", "with its blank")
    big = "Subject: x\r\n\r\n" + ("x" * 998 + "\r\n") * 300
    for protocol, count in ((1 << 10, 1), (0, 5)):
        does = {"body": packet(SKIP)} if protocol else {}
        with Milter(does, protocol=protocol) as milter, serve(config(milter)) as server:
            equal(last(server, message=big)[:3], "250", "skip")
            server.stop()
        equal(len(milter.data("body")), count, "pieces")
    equal(b"".join(milter.data("body")), big.split("\r\n\r\n")[1].encode(), "all of the body")


def test_changes():
    does = {"eom": [add("X-Add", "one\n two") + insert(0, "X-Top", "t") + insert(2, "X-Second", "s") +
                    change(1, "Subject", "new") + change(2, "X-Old", "") + change(1, "X-New", "n") +
                    change(7, "X-Gone", "") + change(1, "Received", "") + GOOD,
                    add("X-Evil", "a\r\n\r\nbody") + add("X-More", "\nBcc: x\r") + packet(ACCEPT), GOOD]}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory, Milter(does) as milter:
        with serve(config(milter, directory=directory)) as server:
            for message in (MESSAGE, "Subject: x\r\n\r\n", "Subject: y\r\n\r\nz\r\n"):
                equal(last(server, message=message)[:3], "250", message)
            server.stop()
        texts = sorted(without_received(text) for text in stored(directory))
    equal(texts, sorted([
        "X-Top: t\nRECEIVED\nX-Second: s\nFrom: a@example.org\nSubject: new\nX-Old: 1\nX-Add: one\n two\n"
        "X-New: n\n\nbody\n",
        "RECEIVED\nSubject: x\nX-Evil: a\n\tbody\nX-More: \n\tBcc: x\n\n",
        "RECEIVED\nSubject: y\n\nz\n"]), "stored")


def test_unix_socket():
    with tempfile.TemporaryDirectory() as directory:
        with Milter({"rcpt": packet(REJECT)}, path=f"{directory}/m.sock") as milter:
            with serve(config(milter)) as server:
                equal(last(server), "550 5.7.1 Command rejected", "by a socket in the file system")
                server.stop()


BAD = {
    "gone at once": ({"negotiate": "close"}, "broken"),
    "gone in the header": ({"header": "close"}, "broken"),
    "gone at the end": ({"eom": "close"}, "broken"),
    "half a packet": ({"eom": b"\0\0\0\x20h"}, "timeouts"),
    "hangs at once": ({"negotiate": "hang"}, "timeouts"),
    "hangs at RCPT": ({"rcpt": "hang"}, "timeouts"),
    "hangs in the body": ({"body": "hang"}, "timeouts"),
    "only says it is at it": ({"eom": lambda peer, data: packet(PROGRESS)}, "timeouts"),
    "speaks HTTP": ({"negotiate": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, "nonsense"),
    "no version": ({"negotiate": packet(b"O", struct.pack(">III", 9, 0, 0))}, "nonsense"),
    "a huge packet": ({"eom": b"\x7f\xff\xff\xffh"}, "nonsense"),
    "an unknown answer": ({"mail": packet(b"?")}, "nonsense"),
    "a change too early": ({"header": add("X", "y") + GOOD}, "nonsense"),
    "no header name": ({"eom": add("X Y", "y") + GOOD}, "nonsense"),
    "a reply of 250": ({"eom": reply("250 ok")}, "nonsense"),
    "another sender": ({"eom": packet(b"e", b"<x@y>\0") + GOOD}, "unoffered"),
    "another body": ({"eom": packet(b"b", b"other") + GOOD}, "unoffered"),
    "quarantine": ({"eom": packet(b"q", b"why\0") + GOOD}, "unoffered"),
    "too many changes": ({"eom": add("X", "y" * 1000) * 100 + GOOD}, "too_long"),
}


def test_bad_filters():
    """The configured verdict, within the timeout and not much more, and a counter that says why."""
    for name, (does, counter) in BAD.items():
        with Milter(does) as milter, serve(config(milter)) as server:
            begin = time.monotonic()
            replies = talk(server)
            assert replies[-1].startswith(FAILED), f"{name}: {replies}"
            assert time.monotonic() - begin < 15, f"{name}: {time.monotonic() - begin} s"
            server.stop()
            # one that hangs may have been given up by the connection a moment before
            sums = counters(server)
            assert sums[counter] > 0, f"{name}: {sums}"
            equal(sums["open"] + sums["waiting"], 0, name)


def test_on_failure():
    with Milter({"negotiate": "close"}) as milter:
        for word, wanted in (("accept", "250"), ("tempfail", FAILED), ("reject", "550 5.7.1 Cannot be checked")):
            with serve(config(milter, f"onFailure: {word}")) as server:
                assert last(server).startswith(wanted), word
                server.stop()


def test_nobody_listens():
    """... and it recovers when somebody does, within the same connection of a client."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/m.sock"
        with serve(config(f"unix:{path}")) as server, Client((server.host, server.port)) as client:
            client.command("EHLO c", "250")
            client.command("MAIL FROM:<a@example.org>", FAILED)
            with Milter(path=path) as milter:
                client.command("MAIL FROM:<a@example.org>", "250")
                client.command("RCPT TO:<bob@example.com>", "250")
                equal(milter.heard(), ["negotiate", "connect", "helo", "mail", "rcpt"], "from the beginning")
                client.command("QUIT", "221")
                eventually(lambda: "end" in milter.heard(), "the end")
            server.stop()
            equal(counters(server)["connect_failed"], 3, "connections that could not be made")


def test_crash_in_the_middle():
    """The filter dies while a message is shown: refused for now; the next one is seen as usual."""
    with Milter({"body": ["close"]}) as milter, serve(config(milter)) as server:
        with Client((server.host, server.port)) as client:
            client.envelope()
            client.command("DATA", "354")
            client.send(MESSAGE + ".\r\n")
            client.expect("451 4.7.1")
            milter.does = {}
            client.message(MESSAGE)
            client.command("QUIT", "221")
        server.stop()
        equal(len(milter.sessions), 2, "conversations")
        equal(counters(server)["broken"], 1, "broken")


def test_few_connections():
    """Sessions share maxConnections; who has to wait too long is refused, and memory does not grow."""
    with Milter() as milter, serve(config(milter, "maxConnections: 1")) as server:
        with Client((server.host, server.port)) as first:
            first.envelope()
            with Client((server.host, server.port), greeting=None) as second:
                second.expect("220", "after the timeout")
                second.command("EHLO c", "250")
                second.command("MAIL FROM:<a@example.org>", "451 4.7.1")
                first.command("QUIT", "221")
                second.command("MAIL FROM:<a@example.org>", "250")
        server.stop()
        equal(counters(server)["waiting"], 0, "waiting")
    with Milter() as milter, serve(config(milter, engine="scanConversations: 1")) as server:
        with Client((server.host, server.port)) as first:
            first.envelope()
            equal(last(server)[:3], "451", "no conversation left")
        eventually(lambda: last(server)[:3] == "250", "one is free again")
        server.stop()
        assert counters(server)["busy"] > 0


def test_sizes():
    big = "Subject: x\r\n\r\n" + ("x" * 98 + "\r\n") * 300
    for more, wanted in (("maxScanSize: 16K", "250"), ("maxScanSize: 16K, onOversize: reject", "552 5.3.4"),
                         ("maxScanSize: 16K, onOversize: tempfail", "451 4.3.4"), ("maxScanSize: 64K", "550")):
        with Milter({"eom": packet(REJECT)}) as milter, serve(config(milter, more)) as server:
            assert last(server, message=big).startswith(wanted), more
            equal(last(server)[:3], "550", "a small one")
            server.stop()
            equal(counters(server)["too_large"], wanted != "550" and 1 or 0, more)
    huge = "Subject: x\r\n\r\n" + ("x" * 998 + "\r\n") * 1500
    with Milter() as milter, serve(config(milter, engine="scanMemory: 1M")) as server:
        equal(last(server, message=huge)[:3], "451", "no memory to show it")
        equal(last(server)[:3], "250", "a small one")
        server.stop()
        equal(counters(server)["no_memory"], 1, "counted")


def test_client_leaves():
    """While its answer is awaited: the conversation ends, nothing is left."""
    with Milter({"mail": "hang"}) as milter, serve(config(milter)) as server:
        for _ in range(20):
            client = Client((server.host, server.port))
            client.command("EHLO c", "250")
            client.send("MAIL FROM:<a@example.org>\r\n")
            eventually(lambda: any(log and log[-1][0] == "mail" for log in milter.sessions), "MAIL")
            client.close()
        milter.does = {}
        equal(last(server)[:3], "250", "as usual")
        eventually(lambda: server.signal(10) or counters_now(server)["open"] == 0, "all are closed")
        server.stop()


def counters_now(server):
    lines = [line for line in server.lines if "event=scan " in line]
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)\b", lines[-1])} if lines else {"open": -1}


def test_configuration():
    for address, why in (("rspamd:11332", "is a name"), ("127.0.0.1", "has no port"), ("unix:x", "is neither")):
        checked = mxring("check", "-c", config(address))
        equal(checked.returncode, 1, address)
        assert f"address: '{address}' {why}" in checked.stderr, checked.stderr


if __name__ == "__main__":
    run(globals())
