"""mxload with TLS and AUTH: both sides count the same handshakes, and servers that misbehave in them."""
import json
import os
import re
import socket
import subprocess
import tempfile
import time

import lib_auth
import lib_mxring
from lib_mxring import Receiver, equal, eventually, run, sink, skip
from lib_tls import HAS_SUBJECT, Keys, serve

MXLOAD = os.path.join(os.path.dirname(lib_mxring.MXRING), "mxload")
if not os.path.exists(MXLOAD):
    skip(f"there is no {MXLOAD}")
KEYS = Keys()


def mxload(*arguments, status=0, is_json=True):
    result = subprocess.run([MXLOAD, *(["--json"] if is_json else []), *map(str, arguments)],
                            capture_output=True, text=True, timeout=240, check=False)
    equal(result.returncode, status, f"{arguments}: {result.stdout} {result.stderr}")
    return json.loads(result.stdout) if result.stdout.startswith("{") else result.stdout + result.stderr


def secure(name="ecdsa", implicit=True, more=()):
    return sink("--workers", "1", "--tls-cert", KEYS.path(name + ".pem"), "--tls-key",
                KEYS.path(name + ".key"), *(["--tls"] if implicit else []), *more)


def check(arguments, messages, implicit=True, handshakes=None, resumed=0, version="TLSv1.3", **how):
    """So many messages and handshakes are counted by both sides; each message is what it was."""
    mode = "--tls" if implicit else "--starttls"
    with tempfile.NamedTemporaryFile("r") as file, secure(implicit=implicit, **how) as receiver:
        result = mxload(mode, "-m", messages, "--ledger", file.name, *arguments, receiver.address)
        totals = receiver.stop()
        fates = [line.split(" ")[2] for line in file]
    equal(fates, ["250"] * messages, "ledger")
    equal(totals["messages"], messages, "received")
    equal(totals["bytes"], result["messages"]["octets"], "octets")
    counters, tls = totals["counters"], result["tls"]
    equal(tls["mode"], "implicit" if implicit else "starttls", "mode")
    equal(tls["version"], version, "version")
    equal((tls["handshakes"], tls["resumed"], tls["failed"]),
          (handshakes or messages, resumed, 0), "handshakes")
    equal((counters["tls_handshakes"], counters["tls_resumed"], counters["tls_failed"]),
          (handshakes or messages, resumed, 0), "handshakes of the server")
    phases = result["phases"]
    equal(phases["tls"]["count"], tls["handshakes"] - resumed, "full handshakes")
    equal(phases.get("resumed", {"count": 0})["count"], resumed, "resumptions")
    assert phases["tls"]["p50_ns"] > 50000, phases["tls"]
    equal(result["phases"]["hello"]["count"], (handshakes or messages) * (1 if implicit else 2), "EHLO")
    return result


def test_both_ways_and_versions():
    for implicit in (True, False):
        for version in ("1.2", "1.3"):
            for name in ("ecdsa", "rsa"):
                result = check(["-s", 4, "--tls-version", version], 20, implicit, name=name,
                               version=f"TLSv{version}")
                assert result["tls"]["cipher"].endswith("_AES_128_GCM_SHA256"), result["tls"]
        check(["-s", 4, "-d"], 400, implicit, 4)
        check(["-s", 4, "-d", "--pipeline", "--workers", 2], 400, implicit, 4)
        check(["-s", 4, "--pipeline", "-r", 3], 40, implicit)


def test_sessions_are_resumed():
    for implicit in (True, False):
        for version in ("1.2", "1.3"):
            check(["-s", 3, "--tls-resume", "--tls-version", version], 60, implicit, resumed=57,
                  version=f"TLSv{version}")
    # what a ticket allows: a full handshake after every 200 resumptions of a chain
    check(["-s", 1, "--tls-resume"], 500, resumed=497)


def test_bodies_of_any_length():
    check(["-s", 3, "-d", "-l", "0-200K", "--seed", 3], 60, handshakes=3)
    check(["-s", 2, "-d", "-l", "5M", "--pipeline"], 8, handshakes=2)
    check(["-s", 2, "-d", "--bdat", "-l", "0-100K"], 60, False, handshakes=2)
    check(["-s", 2, "-d", "--bdat", "--pipeline", "-l", "1M", "-r", 2], 8, handshakes=2)
    check(["-s", 2, "-d", "-r", 1000, "--pipeline"], 8, handshakes=2)


def test_lmtp():
    check(["-s", 2, "-L", "-r", 2], 20, False, more=["--lmtp", "127.0.0.1:0"])


def test_the_report():
    with secure() as receiver:
        text = mxload("--tls", "-m", 3, receiver.address, is_json=False)
        assert re.search(r"^TLS +TLSv1.3 TLS_AES_128_GCM_SHA256: 3 handshakes, 0 of them resumed, "
                         r"0 failed$", text, re.M), text
        assert re.search(r"^tls +3 ", text, re.M), text
    with sink() as receiver:
        result = mxload("-m", 3, receiver.address)
        equal(result["tls"], None, "without TLS")


def test_the_name_and_the_certificate_of_the_client():
    own = ["--tls-cert", KEYS.path("client.pem"), "--tls-key", KEYS.path("client.key")]
    foreign = ["--tls-cert", KEYS.path("stranger.pem"), "--tls-key", KEYS.path("stranger.key")]
    auth = f"clientAuth: required, truststore: {KEYS.path('ca.pem')}"
    with serve(KEYS.tls("socketTLS: true", more=auth)) as server:
        for version in ("1.2", "1.3"):
            how = ["--tls", "--tls-version", version, "-t", "bob@example.com"]
            mxload(*how, *own, "--tls-name", "mx.test", server.address)
            eventually(lambda: any("event=tls" in line and "sni=mx.test" in line and
                                   ("CN=client" in line or not HAS_SUBJECT)
                                   for line in server.lines), "the log")
            for bad in ([], foreign):
                result = mxload(*how, *bad, server.address, status=1)
                equal(result["messages"]["accepted"], 0, f"{version} {bad}")


def test_auth():
    users = lib_auth.users("sha512crypt", "plain")
    with lib_auth.server(users) as server:
        for user in ("user0", "user1"):
            login = f"{user}@example.com:{lib_auth.PASSWORD}"
            for how in ([], ["--auth-login"]):
                result = mxload("-m", 6, "-s", 2, "-t", "bob@example.com", "--auth", login, *how,
                                server.address)
                equal(result["phases"]["auth"]["count"], 18 if how else 6, "replies to AUTH")
        result = mxload("-m", 2, "-t", "bob@example.com", "--auth", "user0@example.com:no",
                        server.address, status=1)
        assert result["ended_early"].startswith("535"), result
        equal(result["messages"]["refused_5xx"], 1, "refused")
        server.stop()
        assert any("event=totals" in line and " logins=24 " in line for line in server.lines)


# ---- servers that misbehave

def failed(talk, text, *arguments):
    with Receiver(talk) as server:
        result = mxload("-m", 1, "--timeout", 5, *arguments, server.address, status=1)
    equal(result["messages"]["accepted"], 0, text)
    assert text in result["ended_early"], (text, result["ended_early"])
    return result


def test_octets_behind_the_reply_to_starttls():
    """They came in clear: nobody knows from whom, and nothing of them is used inside."""
    def injecting(_, peer, lines):
        peer.sendall(b"220 x\r\n")
        for line in lines:
            if line.startswith(b"STARTTLS"):
                peer.sendall(b"220 go\r\n250 injected\r\n")
            else:
                peer.sendall(b"250-x\r\n250 STARTTLS\r\n")
    failed(injecting, "octets behind the reply to STARTTLS", "--starttls")


def test_no_starttls_there():
    def old(_, peer, lines):
        peer.sendall(b"220 x\r\n")
        for line in lines:
            peer.sendall(b"502 what?\r\n" if line.startswith(b"STARTTLS") else b"250 x\r\n")
    result = failed(old, "502 what?", "--starttls")
    equal(result["tls"]["handshakes"], 0, "handshakes")


def test_no_tls_there():
    def clear(_, peer, lines):
        peer.sendall(b"220 x\r\n")
        lines.read(1)
    equal(failed(clear, "", "--tls")["tls"]["failed"], 1, "failed")

    def nonsense(_, peer, lines):
        peer.sendall(b"220 x\r\n")
        for line in lines:
            if line.startswith(b"STARTTLS"):
                peer.sendall(b"220 go\r\n")
                time.sleep(0.1)
                peer.sendall(b"\x16\x03\x03\x00\x05hello")
            else:
                peer.sendall(b"250 x\r\n")
    equal(failed(nonsense, "", "--starttls")["tls"]["failed"], 1, "failed")


def test_a_handshake_that_stops():
    def silent(_, peer, lines):
        lines.read()
    with Receiver(silent) as server:
        result = mxload("--tls", "-m", 2, "-s", 2, "--timeout", 0.3, server.address, status=1)
    assert "no reply in time" in result["ended_early"], result

    def closing(_, peer, lines):
        lines.read(1)
        peer.shutdown(socket.SHUT_RDWR)
    failed(closing, "", "--tls")


def test_options_that_do_not_fit():
    with open(KEYS.path("none.pem"), "w", encoding="utf-8") as file:
        file.write("nothing\n")
    cert, key = KEYS.path("client.pem"), KEYS.path("client.key")
    unfit = ["--tls", "--tls-cert", KEYS.path("stranger.pem"), "--tls-key", key]
    for arguments, status, text in (
            (["--tls", "--starttls"], 2, "one of them"),
            (["--tls-resume"], 2, "--tls or --starttls only"),
            (["--tls", "--tls-version", "1.1"], 2, "1.2 or 1.3"),
            (["--tls", "--tls-cert", cert], 2, "both or none"),
            (["--tls", "--zerocopy", "on"], 2, "--zerocopy"),
            (["--auth", "nobody"], 2, "USER:PASSWORD"),
            (["--auth-login"], 2, "--auth"),
            (["--tls", "--tls-cert", "/none", "--tls-key", key], 1, "No such file"),
            (["--tls", "--tls-cert", KEYS.path("none.pem"), "--tls-key", key], 1, "no certificate"),
            *([(unfit, 1, "does not belong")] if HAS_SUBJECT else [])):  # 5.5 does not compare ECDSA
        said = mxload(*arguments, "127.0.0.1:1", status=status)
        assert text in said, (arguments, said)


run(globals())
