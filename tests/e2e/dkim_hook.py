"""DKIMHook: mail signed by python3-dkim, keys from a name server that answers well,
slowly, cut, wrongly or not at all; and each single octet of a signed mail changed on its way."""
import os
import shutil
import subprocess
import sys
import tempfile

from lib_dns import NameServer
from lib_mxring import Client, equal, run, serve, skip, write_config

try:
    import dkim
    import nacl.encoding
    import nacl.signing
except ImportError:
    DEBIANS = "/usr/bin/python3"
    PROBE = "import dkim, nacl.signing"
    if os.path.realpath(sys.executable) != os.path.realpath(DEBIANS) and os.path.exists(DEBIANS) \
            and subprocess.run([DEBIANS, "-c", PROBE], stderr=subprocess.DEVNULL,
                               check=False).returncode == 0:
        os.execv(DEBIANS, [DEBIANS, *sys.argv])
    skip("python3-dkim and python3-nacl are not installed")

HEADERS = (b"From: Joe <joe@a.test>\r\nTo: bob@example.com\r\nSubject: Hello  there\r\n"
           b"Date: Fri, 11 Jul 2003 21:00:37 -0700\r\nMessage-ID: <1@a.test>\r\n")
BODY = b"\r\nHi \t there.\r\n.\r\n..dots\r\n\r\nBye \r\n\r\n\r\n"
SIGNED = [b"from", b"to", b"subject", b"date", b"message-id"]

NONE = "530 DKIM check failed. Expecting DKIM signatures. Got none."
INVALID = "530 DKIM check failed. Invalid signature."
LATER = "451 Failure computing DKIM signature."


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=True).stdout


def rsa_key(bits):
    pem = openssl("genrsa", "-traditional", str(bits))
    public = openssl("rsa", "-pubout", "-outform", "DER", data=pem)
    return pem, "v=DKIM1; k=rsa; p=" + openssl("base64", "-A", data=public).decode()


def ed25519_key():
    key = nacl.signing.SigningKey.generate()
    text = key.verify_key.encode(nacl.encoding.Base64Encoder).decode()
    return key.encode(nacl.encoding.Base64Encoder), "v=DKIM1; k=ed25519; p=" + text


RSA, RSA_RECORD = rsa_key(2048)
BIG, BIG_RECORD = rsa_key(4096)
SMALL, SMALL_RECORD = rsa_key(768)
ED, ED_RECORD = ed25519_key()


def keys(domain):
    name = "._domainkey." + domain
    return {
        "rsa" + name: {"TXT": [RSA_RECORD]},
        "big" + name: {"TXT": [BIG_RECORD], "do": "cut"},
        "small" + name: {"TXT": [SMALL_RECORD]},
        "ed" + name: {"TXT": ["unrelated", ED_RECORD]},
        "slow" + name: {"TXT": [RSA_RECORD], "do": "slow"},
        "cut" + name: {"TXT": [RSA_RECORD], "do": "cut"},
        "liar" + name: {"TXT": [RSA_RECORD], "do": "liar"},
        "alias" + name: {"CNAME": ["rsa" + name]},
        "broken" + name: {"do": "servfail"},
        "silent" + name: {"do": "silent"},
        "garbage" + name: {"do": "garbage"},
        "empty" + name: {"A": ["192.0.2.1"]},
        "revoked" + name: {"TXT": ["v=DKIM1; p="]},
        "double" + name: {"TXT": [RSA_RECORD, BIG_RECORD]},
        "wrong" + name: {"TXT": [BIG_RECORD]},
        "spf" + name: {"TXT": ["v=spf1 -all"]},
        "strict" + name: {"TXT": [RSA_RECORD + "; t=s"]},
        "endless" + name: {"TXT": [RSA_RECORD + "; n=" + "x" * 3000], "do": "cut"},
    }


ZONE = {**keys("a.test"), **keys("b.test"), **keys("sub.a.test")}


def sign(selector="rsa", key=RSA, domain="a.test", form="relaxed/relaxed", mail=HEADERS + BODY,
         fields=None, **how):
    forms = tuple(text.encode() for text in form.split("/"))
    algorithm = b"ed25519-sha256" if key is ED else b"rsa-sha256"
    signer = dkim.DKIM(mail, signature_algorithm=algorithm)
    signer.should_not_sign = set()
    return signer.sign(selector.encode(), domain.encode(), key, canonicalize=forms,
                       include_headers=fields or SIGNED, **how)


def config(port, options="", server=""):
    return write_config(f"""\
engine: {{workers: 2}}
domains: [example.com]
spool: {{durability: none}}
dns: {{servers: '127.0.0.1:{port}', timeout: 500ms, attempts: 2, deadline: 3s, failureTtl: 100ms}}
smtpservers:
  - bind: "127.0.0.1:0"
    helloName: mx.example
    verifyIdentity: disabled
    maxErrors: 0
    {server}
    handlerchain: [{{DKIMHook: {{{options}}}}}]
""")


class Session(Client):
    def __init__(self, server):
        super().__init__((server.host, server.port))
        self.command("EHLO client.test", "250")

    def transfer(self, mail, sender="joe@a.test"):
        """The reply to a mail."""
        stuffed = mail.replace(b"\r\n.", b"\r\n..")
        self.socket.sendall(b"MAIL FROM:<%s>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n" %
                            sender.encode())
        for _ in range(3):
            self.reply()
        self.socket.sendall(stuffed + b".\r\n")
        return self.reply().rstrip()

    def chunk(self, mail, sender="joe@a.test"):
        self.socket.sendall(b"MAIL FROM:<%s>\r\nRCPT TO:<bob@example.com>\r\nBDAT %d LAST\r\n" %
                            (sender.encode(), len(mail)) + mail)
        for _ in range(2):
            self.reply()
        return self.reply().rstrip()


def check(server, cases):
    with Session(server) as session:
        for what, mail, wanted in cases:
            got = session.transfer(mail)
            assert got.startswith(wanted), f"{what}: {got!r}, wanted {wanted!r}"


def test_forms_and_algorithms():
    mail = HEADERS + BODY
    with NameServer(ZONE) as dns, serve(config(dns.port)) as server:
        check(server, [
            (f"{selector} {form}", sign(selector, key, form=form) + mail, "250")
            for selector, key in (("rsa", RSA), ("big", BIG), ("ed", ED))
            for form in ("simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed")])
        check(server, [
            ("unsigned", mail, NONE),
            ("a short key", sign("small", SMALL) + mail, INVALID),
            ("another key", sign("wrong") + mail, INVALID),
            ("rsa-sha1", sign("rsa").replace(b"rsa-sha256", b"rsa-sha1") + mail, INVALID),
            ("no body", sign(mail=HEADERS + b"\r\n") + HEADERS + b"\r\n", "250"),
            ("no body, simple", sign(mail=HEADERS + b"\r\n", form="simple/simple") + HEADERS +
             b"\r\n", "250"),
            ("signed, then another one on top", sign("rsa", domain="b.test") + sign() + mail,
             "250"),
            ("the first one is bad", sign("wrong") + sign("ed", ED) + mail, "250"),
            ("a large one", sign(mail=mail + b"All work and no play.\r\n" * 30000) + mail +
             b"All work and no play.\r\n" * 30000, "250"),
            ("a large one, its last line changed", sign(mail=mail + b"All work.\r\n" * 30000) +
             mail + b"All work.\r\n" * 29999 + b"All word.\r\n", INVALID),
        ])
        server.stop()


def test_over_signed_and_bound():
    mail = HEADERS + BODY
    over = sign(fields=SIGNED + [b"from", b"subject", b"cc"])
    bad = sign("wrong")
    with NameServer(ZONE) as dns, serve(config(dns.port)) as server:
        check(server, [
            ("over-signed", over + mail, "250"),
            ("... and a Cc more", over + b"Cc: x@y\r\n" + mail, INVALID),
            ("... and a Subject more", over + b"Subject: x\r\n" + mail, INVALID),
            ("a From more", sign() + b"From: x@y\r\n" + mail, INVALID),
            ("Received is signed, too", sign(mail=b"Received: by a.test; today\r\n" + mail,
                                             fields=SIGNED + [b"received"] * 2) +
             b"Received: by a.test; today\r\n" + mail, "250"),
            ("the fifth one counts", bad * 4 + sign() + mail, "250"),
            ("the sixth one does not", bad * 5 + sign() + mail, INVALID),
        ])
        server.stop()


def test_length():
    mail = HEADERS + BODY
    signature = sign(length=True)
    cases = [("as it is", signature + mail, "250"), ("less", signature + mail[:-12], INVALID)]
    more = ("more", signature + mail + b"more\r\n")
    with NameServer(ZONE) as dns:
        with serve(config(dns.port)) as server:
            check(server, [*cases, (*more, INVALID)])
            server.stop()
        with serve(config(dns.port, "allowPartialBody: true")) as server:
            check(server, [*cases, (*more, "250")])
            server.stop()


def test_answers_of_the_name_server():
    mail = HEADERS + BODY
    answers = {"slow": "250", "cut": "250", "liar": "250", "alias": "250", "broken": LATER,
               "silent": LATER, "garbage": LATER, "nothere": INVALID, "empty": INVALID,
               "revoked": INVALID, "double": INVALID, "spf": INVALID, "strict": "250",
               "endless": INVALID}
    with NameServer(ZONE) as dns, serve(config(dns.port)) as server:
        check(server, [(selector, sign(selector) + mail, wanted)
                       for selector, wanted in answers.items()])
        check(server, [
            ("of a domain below, strict", sign("strict", identity=b"@sub.a.test") + mail, INVALID),
            ("of a domain below", sign(identity=b"@sub.a.test") + mail, "250"),
            ("one cannot be had, one is good", sign("broken") + sign() + mail, "250"),
            ("one cannot be had, one is bad", sign("broken") + sign("wrong") + mail, LATER),
        ])
        server.stop()


def test_what_failure_means():
    mail = sign("silent") + HEADERS + BODY
    with NameServer(ZONE) as dns:
        for word, wanted in (("accept", "250"), ("reject", "550 5.7.1"), ("tempfail", "451")):
            for timeout in ("20s", "300ms"):
                options = f"onFailure: {word}, timeout: {timeout}"
                with serve(config(dns.port, options)) as server:
                    check(server, [(f"{word} {timeout}", mail, wanted),
                                   ("afterwards", sign() + HEADERS + BODY, "250")])
                    server.stop()


def test_options():
    mail = HEADERS + BODY
    with NameServer(ZONE) as dns:
        with serve(config(dns.port, "signatureRequired: false")) as server:
            check(server, [("unsigned", mail, "250"), ("bad", sign("wrong") + mail, INVALID)])
            server.stop()
        with serve(config(dns.port, "expectedDToken: [a.test, c.test]")) as server:
            wrong = "530 DKIM check failed. Wrong d token. Expecting [a.test, c.test]. Got [b.test]"
            check(server, [
                ("by a.test", sign() + mail, "250"), ("by A.Test", sign(domain="A.Test") + mail, "250"),
                ("by b.test", sign(domain="b.test") + mail, wrong),
                ("by both", sign(domain="b.test") + sign() + mail, "250"),
                ("by b.test, badly by a.test", sign("wrong") + sign(domain="b.test") + mail, wrong),
                ("by a domain below", sign(domain="sub.a.test") + mail, "530"),
            ])
            server.stop()
        with serve(config(dns.port, server="authorizedAddresses: 127.0.0.1")) as server:
            check(server, [("who may relay need not sign", mail, "250")])
            server.stop()


def test_only_some_senders():
    mail = HEADERS + BODY
    other = mail.replace(b"joe@a.test>", b"joe@b.test>")
    unread = mail.replace(b"Joe <joe@a.test>", b"joe@a.test ((")
    cases = {
        "": {("joe@a.test", mail): NONE, ("joe@b.test", mail): NONE, ("joe@a.test", other): NONE,
             ("joe@b.test", other): "250", ("", other): "250", ("", mail): NONE,
             ("joe@sub.a.test", other): "250", ("joe@b.test", unread): NONE},
        ", validatedEntities: envelope": {("joe@a.test", other): NONE, ("joe@b.test", mail): "250"},
        ", validatedEntities: [headers]": {("joe@a.test", other): "250", ("joe@b.test", mail): NONE},
    }
    with NameServer(ZONE) as dns:
        for options, rows in cases.items():
            with serve(config(dns.port, "onlyForSenderDomain: [c.test, a.test]" + options)) as server:
                with Session(server) as session:
                    for (sender, text), wanted in rows.items():
                        got = session.transfer(text, sender)
                        assert got.startswith(wanted), (options, sender, text[:30], got)
                server.stop()


def test_line_ends():
    """BDAT carries a LF alone; what was signed had CRLF."""
    mail = sign() + HEADERS + BODY
    bare = sign() + HEADERS + BODY.replace(b"there.\r\n", b"there.\n")
    with NameServer(ZONE) as dns:
        for options, wanted in (("", "250"), ("forceCRLF: false", INVALID)):
            with serve(config(dns.port, options)) as server, Session(server) as session:
                equal(session.chunk(mail)[:3], "250", "as it was")
                equal(session.chunk(bare)[:len(wanted)], wanted, options)
                session.close()
                server.stop()


def test_notes():
    """What each signature was goes with the envelope."""
    folder = tempfile.mkdtemp()
    try:
        mail = sign("wrong") + sign() + HEADERS + BODY
        with NameServer(ZONE) as dns:
            path = config(dns.port)
            with open(path, encoding="ascii") as file:
                text = file.read().replace("{durability: none}", f"{{directory: {folder}/spool}}")
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            with serve(path) as server:
                check(server, [("signed", mail, "250")])
                server.stop()
        stored = b"".join(open(os.path.join(top, name), "rb").read()
                          for top, _, names in os.walk(folder) for name in names)
        assert b"mxring.dkim" in stored and b"dkim=pass header.d=a.test" in stored
    finally:
        shutil.rmtree(folder)


def test_rsa_sha1():
    """OpenDKIM's own tool still signs by it: a signature that was sound once."""
    program = shutil.which("opendkim-testmsg", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        print("opendkim-tools are not installed: not tried", file=sys.stderr)
        return
    with tempfile.NamedTemporaryFile(suffix=".pem") as key:
        key.write(RSA)
        key.flush()
        signed = subprocess.run([program, "-C", "-d", "a.test", "-s", "rsa", "-k", key.name],
                                input=HEADERS + BODY, stdout=subprocess.PIPE, check=True).stdout
    assert dkim.verify(signed, dnsfunc=lambda name, timeout=5: RSA_RECORD.encode()), signed
    with NameServer(ZONE) as dns, serve(config(dns.port)) as server:
        check(server, [("by rsa-sha1 alone", signed, INVALID),
                       ("and by rsa-sha256", sign(mail=signed) + signed, "250")])
        server.stop()


def change(octet):
    """Another octet that DATA can carry, and that no form takes for the same."""
    return b"x" if octet in b"\r\n\t ." else bytes([octet ^ 1]) if octet ^ 1 > 0x20 else b"!"


def test_each_octet_changed():
    """Of all that is signed: header, body, and the signature's own field but for b=."""
    for form in ("simple/simple", "relaxed/relaxed"):
        signature = sign("ed", ED, form=form)
        mail = signature + HEADERS + BODY
        spared = range(signature.index(b" b=") + 3, len(signature))
        end = len(mail.rstrip(b"\r\n")) + 2  # the empty lines at the end are none
        with NameServer(ZONE) as dns, serve(config(dns.port)) as server:
            with Session(server) as session:
                equal(session.transfer(mail)[:3], "250", "as it is")
                for at in range(end):
                    if at in spared or mail[at:at + 1] in b"\r\n":
                        continue
                    changed = mail[:at] + change(mail[at]) + mail[at + 1:]
                    got = session.transfer(changed)
                    assert got in (INVALID, NONE, LATER), (form, at, mail[at - 10:at + 10], got)
                equal(session.transfer(mail)[:3], "250", "and once more")
            server.stop()


run(globals())
