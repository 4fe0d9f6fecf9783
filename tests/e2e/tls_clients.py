"""Clients as they are: openssl, gnutls-cli, swaks and smtplib, with STARTTLS and with TLS from the
first octet, in both versions; each mail arrives, and the summary counts what was inside TLS."""
import smtplib
import subprocess

from lib_mxring import SLOW, Server, equal, run, tool
from lib_tls import Keys, context


def sink(keys, *more, name="ecdsa"):
    """Two addresses: STARTTLS, and TLS from the first octet on."""
    return Server("sink", "--workers", "2", "--tls-cert", keys.path(name + ".pem"), "--tls-key",
                  keys.path(name + ".key"), *more, "127.0.0.1:0", "--tls", "127.0.0.1:0",
                  listeners=2)


def stop(server, messages, handshakes):
    summary = server.stop()
    equal(summary["messages"], messages, "messages")
    counters = summary["counters"]
    equal((counters["tls_handshakes"], counters["tls_failed"]), (handshakes, 0), "handshakes")
    return counters


DIALOGUE = ("EHLO c.test\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n"
            "Subject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n")


def call(words, text):
    """What the program prints; it speaks in lockstep or not, as it likes."""
    result = subprocess.run(words, input=text.encode(), capture_output=True, timeout=SLOW * 3)
    return result.returncode, result.stdout.decode("utf-8", "replace"), \
        result.stderr.decode("utf-8", "replace")


def test_openssl():
    openssl = tool("openssl")
    for name in ("ecdsa", "rsa"):
        with Keys() as keys, sink(keys, name=name) as server:
            for version in ("-tls1_2", "-tls1_3"):
                for number, how in ((0, ["-starttls", "smtp"]), (1, [])):
                    host, port = server.addresses[number]
                    _, out, err = call(
                        [openssl, "s_client", "-quiet", "-crlf", "-connect", f"{host}:{port}",
                         version, "-CAfile", keys.path("ca.pem"), "-verify_return_error", *how],
                        DIALOGUE.replace("\r\n", "\n"))
                    assert "250 2.6.0 Message received" in out and "221 2.0.0" in out, out + err
            stop(server, 4, 4)


def test_old_versions_and_weak_suites_are_refused():
    openssl = tool("openssl")
    with Keys() as keys, sink(keys) as server:
        host, port = server.addresses[1]
        base = [openssl, "s_client", "-connect", f"{host}:{port}"]
        for words in (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
                      ["-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"],
                      ["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
                      ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"],
                      ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"]):
            status, out, err = call(base + words, "")
            assert status != 0 and "Cipher is (NONE)" in out, (words, out, err)
        counters = server.stop()["counters"]
        equal((counters["tls_handshakes"], counters["tls_failed"]), (0, 6))


def test_no_renegotiation():
    openssl = tool("openssl")
    with Keys() as keys, sink(keys) as server:
        host, port = server.addresses[1]
        _, out, err = call([openssl, "s_client", "-connect", f"{host}:{port}", "-tls1_2"], "R\n")
        assert "no renegotiation" in err or "RENEGOTIATING" in out + err, out + err
        assert "Secure Renegotiation IS" in out, out
        equal(server.stop()["counters"]["tls_handshakes"], 1)


def test_gnutls():
    gnutls = tool("gnutls-cli")
    with Keys() as keys, sink(keys) as server:
        for priority in ("NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"):
            for number, how in ((0, ["--starttls-proto=smtp"]), (1, [])):
                host, port = server.addresses[number]
                _, out, err = call(
                    [gnutls, "--x509cafile", keys.path("ca.pem"), "--verify-hostname", "mx.test",
                     "--sni-hostname", "mx.test", "--priority", priority, *how, "--port",
                     str(port), host], DIALOGUE)
                assert "250 2.6.0 Message received" in out, out + err
        stop(server, 4, 4)


def test_swaks():
    swaks = tool("swaks")
    with Keys() as keys, sink(keys) as server:
        for number, how in ((0, "--tls"), (1, "--tlsc")):
            for version in ("tlsv1_2", "tlsv1_3"):
                host, port = server.addresses[number]
                status, out, err = call(
                    [swaks, "--server", f"{host}:{port}", "--from", "a@example.org", "--to",
                     "bob@example.com", "--helo", "client.example", "--timeout", "20s", how,
                     "--tls-protocol", version, "--tls-verify", "--tls-ca-path",
                     keys.path("ca.pem"), "--tls-verify-target", "mx.test", "--tls-sni",
                     "mx.test"], "")
                if status == 0 and "TLS not available" not in out + err:
                    continue
                # an older swaks knows neither the target nor SNI
                status, out, err = call(
                    [swaks, "--server", f"{host}:{port}", "--from", "a@example.org", "--to",
                     "bob@example.com", "--helo", "client.example", "--timeout", "20s", how,
                     "--tls-protocol", version], "")
                equal(status, 0, out + err)
        stop(server, 4, 4)


def test_lmtp():
    with Keys() as keys:
        server = Server("sink", "--lmtp", "--tls-cert", keys.path("rsa.pem"), "--tls-key",
                        keys.path("rsa.key"), "127.0.0.1:0")
        with server:
            with smtplib.LMTP(server.host, server.port) as client:
                client.ehlo()
                assert client.has_extn("starttls")
                client.starttls(context=context("1.3"))
                equal(client.sendmail("a@x.org", ["b@x.org"], "Subject: x\r\n\r\nx\r\n"),
                      {})
            stop(server, 1, 1)


def test_smtplib():
    with Keys() as keys, sink(keys) as server:
        text = "Subject: x\r\n\r\n" + ("0123456789" * 7 + "\r\n") * 30000
        for version in ("1.2", "1.3"):
            use = context(version, keys.path("ca.pem"))
            use.check_hostname = True
            with smtplib.SMTP("localhost", server.addresses[0][1]) as client:
                client.ehlo()
                assert client.has_extn("starttls")
                client.starttls(context=use)
                client.ehlo()
                assert not client.has_extn("starttls")
                for _ in range(3):
                    equal(client.sendmail("a@example.org", ["bob@example.com"], text), {})
            with smtplib.SMTP_SSL("localhost", server.addresses[1][1], context=use) as client:
                equal(client.sendmail("a@example.org", ["bob@example.com"], text), {})
        stop(server, 8, 4)


run(globals())
