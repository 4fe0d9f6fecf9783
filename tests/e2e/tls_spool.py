"""What the spool keeps of a message's TLS session: version, cipher, the name that was asked for, the
subject of the client's certificate; and nothing of it for mail that came in clear."""
import json
import tempfile

from lib_mxring import Client, Server, equal, mxring, run, sink, write_config
from lib_tls import HAS_SUBJECT, Keys, TlsClient, context


def gateway(folder, keys):
    auth = f"clientAuth: wanted, truststore: {keys.path('ca.pem')}"
    return Server("serve", "-c", write_config(f"""\
engine: {{workers: 1}}
domains: [example.com]
spool: {{directory: "{folder}/spool", segmentSize: 4M, reserve: 0}}
smtpservers:
  - {{bind: "127.0.0.1:0", handlerchain: [], verifyIdentity: disabled, {keys.tls(more=auth)}}}
lmtpservers:
  - {{bind: "127.0.0.1:0", handlerchain: [], {keys.tls("socketTLS: true")}}}
"""), listeners=2)


def spool(*arguments):
    result = mxring("spool", *arguments)
    equal(result.returncode, 0, result.stderr)
    return result.stdout


def letters(suite):
    """A name of the registry and OpenSSL's differ in this only."""
    return suite.replace("_", "").replace("-", "")


def test_the_envelope():
    wanted = []
    with tempfile.TemporaryDirectory() as folder, Keys() as keys:
        with gateway(folder, keys) as server:
            for version in ("1.2", "1.3"):
                for name, certificate in ((None, None), ("mx.test", "client")):
                    use = context(version, certificate=certificate, keys=keys)
                    with TlsClient(server.addresses[0], use=use, name=name) as client:
                        client.command("EHLO x", "250")
                        client.starttls()
                        client.message()
                        cipher = client.socket.cipher()[0]
                    row = {"tlsVersion": f"TLSv{version}"}
                    if name:
                        row |= {"tlsServerName": name}
                        row |= {"tlsSubject": "/O=mxring tests/CN=client.test"} if HAS_SUBJECT else {}
                    wanted.append((row, cipher))
            with TlsClient(server.addresses[1], use=context("1.3"), implicit=True) as client:
                client.message(hello="LHLO")
            wanted.append(({"tlsVersion": "TLSv1.3"}, None))
            with Client(server.addresses[0]) as client:
                client.message()
            wanted.append((None, None))
            rows = [json.loads(line) for line in spool("ls", "--json", f"{folder}/spool").splitlines()]
            equal([row["tls"] for row in rows], [row is not None for row, _ in wanted], "ls")
            server.stop()
        for row, (want, cipher) in zip(rows, wanted):
            envelope = json.loads(spool("cat", "--envelope", f"{folder}/spool", row["id"]))
            got = {key: value for key, value in envelope.items() if key.startswith("tls")}
            equal("tls" in envelope["flags"], want is not None, f"flags {envelope}")
            if want is None:
                equal(got, {}, "in clear")
                continue
            suite = got.pop("tlsCipher")
            assert suite.startswith("TLS_"), suite
            if cipher:
                equal(letters(suite.replace("_WITH", "")), letters("TLS_" + cipher.removeprefix("TLS_")), "cipher")
            equal(got, want, "envelope")
            text = spool("cat", f"{folder}/spool", row["id"])
            assert f"(using {want['tlsVersion']} with cipher {suite})" in text, text
            assert any(word in text for word in (" with ESMTPS ", " with LMTPS ")), text


def test_the_end_of_the_first_certificate():
    """In event=totals, seconds since 1970; nothing without TLS."""
    for name, row in (("ecdsa", " certificate_end=4949182143"), ("expired", " certificate_end=1609459200"), (None, None)):
        with tempfile.TemporaryDirectory() as folder, Keys() as keys:
            if name:
                keys.put("ecdsa.pem", name + ".pem")
            with (gateway(folder, keys) if name else sink("--workers", "1")) as server:
                server.stop()
            line = next(line for line in server.lines if "event=totals" in line) if name else ""
            assert row is None or row in line, line
            assert name or not server.logged("certificate_end"), server.lines


run(globals())
