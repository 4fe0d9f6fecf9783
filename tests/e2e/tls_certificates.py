"""Certificates: which one a name gets, who must show one, how they are exchanged while sessions run,
and what `mxring check` and a start say about files that do not fit."""
import os
import re
import signal
import ssl
import subprocess
import tempfile
import threading
import time

from lib_mxring import SLOW, Server, config, equal, eventually, mxring, run
from lib_tls import HAS_SUBJECT, Keys, TlsClient, context, serve

MORE = "more: [{{privateKey: {0}/rsa.key, certificates: {0}/rsa.pem}}]"


def subject_for(server, keys, name, version=None):
    with TlsClient(server.addresses[0], context(version, keys.path("ca.pem")), implicit=True,
                   name=name) as client:
        return client.subject()


def test_names():
    with Keys() as keys, serve(keys.tls("socketTLS: true", more=MORE.format(keys.name))) as server:
        for version in ("1.2", "1.3"):
            for name, subject in ((None, "mx.test"), ("mx.test", "mx.test"), ("rsa.test", "rsa.test"),
                                  ("RSA.test", "rsa.test"), ("a.wild.test", "rsa.test"),
                                  ("a.b.wild.test", "mx.test"), ("wild.test", "mx.test"),
                                  ("unknown.example", "mx.test")):
                equal(subject_for(server, keys, name, version), subject, f"{name} {version}")
        eventually(lambda: server.logged("sni=rsa.test"), "the log names it")


def refused(server, use):
    """The handshake fails, or what is said behind it: TLS 1.3 tells the client afterwards."""
    try:
        with TlsClient(server.addresses[0], use, implicit=True, greeting=None) as client:
            return client.reply() == ""
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        return True


def test_clients_certificates():
    with Keys() as keys:
        words = f"truststore: {keys.path('ca.pem')}, enableOCSPCRLChecks: true, " \
                f"revocationLists: {keys.path('ca.crl')}, clientAuth: "
        for mode, without in (("required", True), ("wanted", False)):
            with serve(keys.tls("socketTLS: true", more=words + mode)) as server:
                for version in ("1.2", "1.3"):
                    equal(refused(server, context(version)), without, f"{mode}: none")
                    good = context(version, certificate="client", keys=keys)
                    with TlsClient(server.addresses[0], good, implicit=True) as client:
                        client.command("EHLO c.test", "250")
                    for name in ("stranger", "revoked"):
                        assert refused(server, context(version, certificate=name, keys=keys)), name
                if HAS_SUBJECT:
                    eventually(lambda: server.logged("client.test"), "the log names the client")
                assert server.logged("result=failed")
                assert not server.logged("resumed=yes")
                equal(server.stop(), None)


def other(keys, server):
    return lambda: subject_for(server, keys, None) == "rsa.test"


def exchange(keys, key="rsa", chain="rsa"):
    keys.put("ecdsa.key", key + ".key")
    keys.put("ecdsa.pem", chain + ".pem")


def test_exchanged_on_sighup_and_no_session_is_dropped():
    with Keys() as keys, serve(keys.tls("socketTLS: true")) as server:
        with TlsClient(server.addresses[0], implicit=True) as client:
            client.command("EHLO c.test", "250")
            exchange(keys)
            server.signal(signal.SIGHUP)
            eventually(other(keys, server), "the new certificate")
            client.message()
            client.command("QUIT", "221")
        # a key that does not fit: what there is stays
        keys.put("ecdsa.key", "ecdsa.key")
        server.signal(signal.SIGHUP)
        eventually(lambda: server.logged("the key does not belong to the certificate"), "the reason")
        equal(subject_for(server, keys, None), "rsa.test")
        equal(server.stop(), None)


def test_exchanged_when_the_files_change():
    with Keys() as keys, serve(keys.tls("socketTLS: true")) as server:
        equal(subject_for(server, keys, None), "mx.test")
        exchange(keys)
        eventually(other(keys, server), "the new certificate", 60)
        assert server.logged("result=exchanged")
        os.unlink(keys.path("ecdsa.pem"))
        eventually(lambda: server.logged('result="the old ones stay"'), "a missing file is told", 60)
        equal(subject_for(server, keys, None), "rsa.test")
        exchange(keys, "ecdsa", "ecdsa")
        eventually(lambda: subject_for(server, keys, None) == "mx.test", "back again", 60)


def test_exchanged_when_the_secret_changes():
    """Key, then password, each a while after the other: no look is the last one."""
    def lock(password):
        subprocess.run(["openssl", "ec", "-aes256", "-passout", f"pass:{password}", "-in",
                        keys.path("plain.key"), "-out", keys.path("ecdsa.key")], check=True,
                       stderr=subprocess.DEVNULL)
        os.chmod(keys.path("ecdsa.key"), 0o600)

    def write(password):
        with open(keys.path("new"), "w", encoding="ascii") as file:
            file.write(password + "\n")
        os.rename(keys.path("new"), keys.path("pass"))

    with Keys() as keys:
        keys.put("plain.key", "ecdsa.key")
        write("first")
        lock("first")
        with serve(keys.tls("socketTLS: true", more=f"secret: 'file:{keys.path('pass')}'")) as server:
            lock("second")
            eventually(lambda: server.logged('result="the old ones stay"'), "a wrong secret", 60)
            assert server.logged("secret is a wrong one"), server.lines
            write("second")
            eventually(lambda: server.logged("result=exchanged"), "the right one", 60)
            equal(subject_for(server, keys, None), "mx.test")


def test_exchanged_under_load():
    """Sessions come and go while the certificates change; none fails."""
    failures, done, total = [], threading.Event(), [0, 0]

    def load(server, keys, number):
        use = context(None, keys.path("ca.pem"))
        while not done.is_set():
            try:
                with TlsClient(server.addresses[0], use, implicit=True) as client:
                    client.message()
                    client.command("QUIT", "221")
                total[number] += 1
            except Exception as error:  # every kind of failure counts
                failures.append(error)

    with Keys() as keys, serve(keys.tls("socketTLS: true"), level="info") as server:
        threads = [threading.Thread(target=load, args=(server, keys, i)) for i in range(2)]
        for thread in threads:
            thread.start()
        try:
            for number in range(10):
                exchange(keys, *(["rsa"] * 2 if number % 2 == 0 else ["ecdsa"] * 2))
                before = sum("event=reload" in line for line in server.lines)
                server.signal(signal.SIGHUP)
                eventually(lambda: sum("event=reload" in line for line in server.lines) > before,
                           "a reload")
                time.sleep(0.1)
        finally:
            done.set()
            for thread in threads:
                thread.join(SLOW)
        equal(failures, [])
        assert min(total) > 0, total
        equal(server.stop(), None)


def check(keys, words, warnings=False):
    """The problems that `mxring check` finds, without the file's name."""
    path = config(smtp=words)
    result = mxring("check", "-c", path)
    lines = [line.removeprefix(path + ":").replace(keys.name, "K")
             for line in result.stderr.splitlines()]
    equal(result.returncode, 1 if any("warning" not in line for line in lines) else 0, lines)
    return [re.sub(r"^\d+:\d+: ", "", line) for line in lines]


def test_check():
    with Keys() as keys:
        with open(keys.path("empty.pem"), "w", encoding="ascii"):
            pass
        os.chmod(keys.path("client.key"), 0o644)
        implicit = "socketTLS: true"
        cases = [
            (keys.tls(), []),
            (keys.tls(name="rsa"), []),
            (keys.tls(implicit, more=MORE.format(keys.name)), []),
            (f"tls: {{{implicit}, privateKey: K/rsa.key, certificates: K/ecdsa.pem}}",
             ["privateKey: 'K/rsa.key': the key does not belong to the certificate"]),
            (f"tls: {{{implicit}, privateKey: K/none, certificates: K/nil}}",
             ["certificates: 'K/nil': No such file or directory",
              "privateKey: 'K/none': No such file or directory"]),
            (f"tls: {{{implicit}, privateKey: K/ecdsa.key, certificates: K/empty.pem}}",
             [r"certificates: 'K/empty.pem': the file is empty"]),
            (f"tls: {{{implicit}, privateKey: K/ecdsa.key, certificates: K}}",
             ["certificates: 'K': Invalid argument"]),
            (f"tls: {{{implicit}, privateKey: K/ecdsa.pem, certificates: K/ecdsa.pem}}",
             [r"privateKey: 'K/ecdsa.pem': no private key that can be used without a secret.*"]),
            (f"tls: {{{implicit}, privateKey: K/encrypted.key, certificates: K/ecdsa.pem}}",
             [r"privateKey: 'K/encrypted.key': no private key that can be used without a secret.*"]),
            (f"tls: {{{implicit}, privateKey: K/encrypted.key, certificates: K/ecdsa.pem, "
             "secret: wrong}", [r".*encrypted.key': no private key that can be used, or the secret is.*"]),
            (f"tls: {{{implicit}, privateKey: K/encrypted.key, certificates: K/ecdsa.pem, "
             "secret: open-sesame}", []),
            (f"tls: {{{implicit}, privateKey: K/ecdsa.key, certificates: K/wrong-order.pem}}",
             [r"warning: certificates: 'K/wrong-order.pem': certificate 2 of the file did not issue.*",
              r"privateKey: 'K/ecdsa.key': the key does not belong to the certificate"]),
            (f"tls: {{{implicit}, privateKey: K/ecdsa.key, certificates: K/expired.pem}}",
             ["warning: certificates: 'K/expired.pem': the certificate has expired"]),
            (f"tls: {{{implicit}, privateKey: K/client.key, certificates: K/client.pem}}",
             ["warning: privateKey: 'K/client.key': everybody on this machine can read the key; "
              "chmod 600"]),
            (keys.tls(implicit, more="clientAuth: required, truststore: K/empty.pem"),
             [r"truststore: 'K/empty.pem': the file is empty"]),
            (keys.tls(implicit, more="clientAuth: required, truststore: K/ca.pem, "
                      "enableOCSPCRLChecks: true, revocationLists: K/empty.pem"),
             [r"revocationLists: 'K/empty.pem': the file is empty"]),
            (keys.tls(implicit, more="clientAuth: required, truststore: K/ca.pem, "
                      "enableOCSPCRLChecks: true, revocationLists: K/rsa.pem"),
             [r"revocationLists: 'K/rsa.pem': no revocation list of an issuer.*"]),
            (keys.tls(implicit, more="clientAuth: required, truststore: K/rsa.key"),
             [r"truststore: 'K/rsa.key': no certificates that can be used.*"]),
            (keys.tls(implicit, more="supportedProtocols: [TLSv1.2], supportedCipherSuites: "
                      "[TLS_AES_128_GCM_SHA256]"),
             ["supportedCipherSuites: none is of the supportedProtocols"]),
            (keys.tls(implicit, more="supportedProtocols: [TLSv1.1]"),
             ["supportedProtocols: none is left",
              "supportedProtocols may hold TLSv1.2, TLSv1.3, not 'TLSv1.1'"]),
        ]
        for words, wanted in cases:
            said = check(keys, words.replace("K/", keys.name + "/").replace("certificates: K}",
                         f"certificates: {keys.name}}}"))
            equal(len(said), len(wanted), f"{words}\n" + "\n".join(said))
            for line, pattern in zip(said, wanted):
                assert line == pattern or re.fullmatch(pattern, line), f"{words}\n{line}\n{pattern}"


def test_check_of_the_ticket_key():
    with Keys() as keys:
        for name, text in (("short", "x" * 31), ("good", "x" * 32), ("long", "x" * 5000)):
            with open(keys.path(name), "w", encoding="ascii") as file:
                file.write(text)
        for name, reason in (("good", None), ("short", "it has fewer than 32 octets"),
                             ("long", "File too large"), ("none", "No such file or directory")):
            path = config(engine=f"tlsTicketKeyFile: {keys.path(name)}")
            result = mxring("check", "-c", path)
            equal(result.returncode, 1 if reason else 0, name)
            said = re.sub(r":\d+:\d+:", ":1:2:", result.stderr)
            equal(said, f"{path}:1:2: tlsTicketKeyFile: '{keys.path(name)}': {reason}\n"
                  if reason else "", name)
            if reason:
                result = mxring("serve", "-c", path)
                equal(result.returncode, 78)
                assert reason in result.stderr, result.stderr


def test_a_start_says_the_same():
    with Keys() as keys:
        path = config(smtp=f"tls: {{startTLS: true, privateKey: {keys.path('rsa.key')}, "
                           f"certificates: {keys.path('ecdsa.pem')}}}")
        result = mxring("serve", "-c", path)
        equal(result.returncode, 78)
        assert "the key does not belong to the certificate" in result.stderr, result.stderr
        assert "line=6" in result.stderr, result.stderr


def test_an_end_that_is_near_is_told():
    with Keys() as keys:
        keys.put("ecdsa.pem", "expired.pem")
        with serve(keys.tls("socketTLS: true"), level="info") as server:
            eventually(lambda: server.logged("result=expired days=0"), "the warning")


def test_a_dump_names_the_same_files():
    """Relative paths of a configuration work in its dump, wherever that lies."""
    with Keys() as keys, tempfile.TemporaryDirectory() as elsewhere:
        with open(keys.path("pass"), "w", encoding="utf-8") as file:
            file.write("open-sesame\n")
        os.chmod(keys.path("pass"), 0o600)
        where = keys.path("mx.yaml")
        with open(config(
                engine="tlsTicketKeyFile: ecdsa.key",
                smtp="tls: {startTLS: true, privateKey: encrypted.key, certificates: ecdsa.pem, "
                "secret: file:pass, more: [{privateKey: encrypted.key, certificates: ecdsa.pem, "
                "secret: file:pass}], clientAuth: wanted, truststore: ca.pem, "
                "enableOCSPCRLChecks: true, revocationLists: ca.crl}"), encoding="utf-8") as file:
            text = file.read()
        with open(where, "w", encoding="utf-8") as file:
            file.write(text)
        first = mxring("check", "-c", where, "--dump")
        equal(first.returncode, 0, first.stderr)
        copy = f"{elsewhere}/mx.yaml"
        with open(copy, "w", encoding="utf-8") as file:
            file.write(first.stdout)
        second = mxring("check", "-c", copy, "--dump")
        equal((second.returncode, second.stderr), (0, first.stderr))
        equal(second.stdout, first.stdout)
        folder = os.path.realpath(keys.name)
        for words in (f'tlsTicketKeyFile: "{folder}/ecdsa.key"', f'privateKey: "{folder}/encrypted.key"',
                      f'secret: "file:{folder}/pass"', f'truststore: "{folder}/ca.pem"',
                      f'revocationLists: "{folder}/ca.crl"', f'certificates: "{folder}/ecdsa.pem"'):
            assert words in first.stdout, (words, first.stdout)
        equal(first.stdout.count(f'"file:{folder}/pass"'), 2)


run(globals())
