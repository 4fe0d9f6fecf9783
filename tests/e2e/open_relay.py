"""Who may send what to whom: every combination of where the client is, behind a proxy or not, whether it
has logged in, as what it greets, sender, recipient, verifyIdentity and the modes of AUTH is computed
here from the rules alone, and asked from the server. Nobody relays but who is in the networks or logged
in. nmap's smtp-open-relay finds nothing, and finds a server that was opened on purpose."""
import itertools
import os
import re
import shutil
import subprocess

import lib_auth
from lib_mxring import Client, equal, mxring, run, serve, write_config

TRUSTED = ("127.0.0.2", "192.0.2.0/24", "2001:db8::/32")
# How a client comes: its own address, the PROXY header's line, is it in the networks?
DIRECT = [("127.0.0.1", None, False), ("127.0.0.2", None, True)]
PROXIED = [(tcp, line, is_in) for tcp in ("127.0.0.1", "127.0.0.2") for line, is_in in (
    ("PROXY TCP4 203.0.113.9 127.0.0.1 4711 25", False),
    ("PROXY TCP4 192.0.2.77 127.0.0.1 4711 25", True),
    ("PROXY TCP6 2001:db9::1 ::1 4711 25", False),
    ("PROXY TCP6 2001:db8::1 ::1 4711 25", True))]
HELLOS = ("laptop", "mail.remote.org")
LOGIN = "user0@example.com"  # user1 is somebody else
SENDERS = {  # is it ours, and is it LOGIN's?
    "": (False, True),
    LOGIN: (True, True),
    "USER0@Example.COM": (True, True),
    "alias@example.com": (True, True),
    "alias@alias.example": (True, True),
    "user1@example.com": (True, False),
    "nobody@example.com": (True, False),
    "a@example.org": (False, False),
    "user0@example.com.example.org": (False, False),
    '"user0@example.com"@example.org': (False, False),
    "user0%example.com@example.org": (False, False),
}
RECIPIENTS = {  # is the domain ours?
    "user1@example.com": True,
    "nobody@EXAMPLE.com": True,
    "postmaster": True,
    "user@alias.example": True,
    "victim%example.org@example.com": True,
    "example.org!victim@example.com": True,
    '"victim@example.org"@example.com': True,
    "victim@example.org": False,
    "postmaster@example.org": False,
    "user1%example.com@example.org": False,
    '"user1@example.com"@example.org': False,
    "victim@[127.0.0.1]": False,
    "victim@127.0.0.1": False,
    "victim@sub.example.com": False,
    "victim@example.com.example.org": False,
    "victim@notexample.com": False,
}
MALFORMED = ("@example.com:victim@example.org", "victim@example.org@example.com", "victim@example.org,user1@example.com",
             "victim@[::1]", "victim@example.com\\", "user1@example.com.", "victim@example.org user1@example.com")
IDENTITIES = ("strict", "relaxed", "disabled")
ANNOUNCE = ("never", "always", "forUnauthorizedAddresses")


class Mode:
    """One server: what its configuration says."""

    def __init__(self, identity, has_auth, announce, is_required, has_proxy):
        self.identity, self.has_auth, self.announce = identity, has_auth, announce
        self.is_required, self.has_proxy = is_required, has_proxy

    def __str__(self):
        return f"{self.identity}-{self.has_auth:d}-{self.announce}-{self.is_required:d}-{self.has_proxy:d}"

    def yaml(self):
        proxy = "proxyRequired: true, proxyFrom: 127.0.0.0/8, " if self.has_proxy else ""
        return (f"  - {{name: {self}, bind: '127.0.0.1:0', helloName: mx.example, handlerchain: [], maxErrors: 0,\n"
                f"     coreHandlers: {'core' if self.has_auth else 'noAuth'}, verifyIdentity: {self.identity},\n"
                f"     auth: {{announce: {self.announce}, required: {'true' if self.is_required else 'false'}}},\n"
                f"     {proxy}authorizedAddresses: '{', '.join(TRUSTED)}'}}\n")


def modes():
    for identity, has_proxy in itertools.product(IDENTITIES, (False, True)):
        for announce, is_required in itertools.product(ANNOUNCE, (False, True)):
            yield Mode(identity, True, announce, is_required, has_proxy)
        yield Mode(identity, False, "always", True, has_proxy)


# --- the rules -------------------------------------------------------------------------------

def identity_refusal(mode, is_in, is_logged_in, hello, sender):
    is_ours, is_own = SENDERS[sender]
    if mode.identity == "disabled" or sender == "":
        return None
    if is_logged_in:
        return None if is_own else "503 5.7.1"
    if is_in or not is_ours or (mode.identity == "relaxed" and "." in hello):
        return None
    return "530 5.7.1"


def wanted_for_mail(mode, is_in, is_logged_in, hello, sender):
    refusal = identity_refusal(mode, is_in, is_logged_in, hello, sender)
    if refusal is None and mode.is_required and mode.has_auth and not is_in and not is_logged_in:
        refusal = "530 5.7.1"
    return refusal or "250 2.1.0"


def wanted_for_rcpt(mode, is_in, is_logged_in, recipient):
    if RECIPIENTS[recipient] or is_in or is_logged_in:
        return "250 2.1.5"
    is_announced = mode.has_auth and (mode.announce == "always" or
                                      (mode.announce == "forUnauthorizedAddresses" and not is_in))
    return "530 5.7.1" if is_announced else "550 5.7.1"


# --- the server ------------------------------------------------------------------------------

class Session:
    """A connection, ready for MAIL. Commands go out together, their replies are read one by one."""

    def __init__(self, address, tcp, line, hello, is_logged_in):
        self.client = Client(address, source=tcp)
        if line:
            self.client.send(line + "\r\n")
        self.client.command(f"HELO {hello}", "250")
        if is_logged_in:
            self.client.command(lib_auth.plain(LOGIN), "235")

    def ask(self, lines):
        self.client.send("".join(line + "\r\n" for line in lines))
        return [self.client.reply() for _ in lines]


def differs(cell, reply, wanted):
    return [] if reply.startswith(wanted + " ") else [f"{cell}: got {reply.strip()}, wanted {wanted}"]


def check_session(session, mode, is_in, is_logged_in, hello):
    """Every sender with every recipient. Returns how many cells, and those that were answered otherwise."""
    wrong, cells = [], 0
    for sender in SENDERS:
        cell = (str(mode), is_in, is_logged_in, hello, sender)
        replies = session.ask([f"MAIL FROM:<{sender}>"] +
                              [f"RCPT TO:<{recipient}>" for recipient in (*RECIPIENTS, *MALFORMED)] + ["RSET"])
        wanted = wanted_for_mail(mode, is_in, is_logged_in, hello, sender)
        wrong += differs(cell, replies[0], wanted)
        for recipient, reply in zip(RECIPIENTS, replies[1:]):
            may = wanted_for_rcpt(mode, is_in, is_logged_in, recipient) if wanted[0] == "2" else "503 5.5.0"
            wrong += differs((*cell, recipient), reply, may)
            assert reply[0] != "2" or RECIPIENTS[recipient] or is_in or is_logged_in, (cell, recipient)
        for recipient, reply in zip(MALFORMED, replies[1 + len(RECIPIENTS):]):
            wrong += differs((*cell, recipient), reply, "5" + reply[1:9])
        cells += len(RECIPIENTS) + len(MALFORMED)
    return cells, wrong


def gateway(folder_users):
    aliases = write_config("alias@example.com: user0@example.com\nalias@alias.example: alias@example.com\n")
    return write_config(f"""\
engine: {{workers: 2}}
domains: [example.com, alias.example]
defaultDomain: example.com
users: {folder_users}
aliases: {aliases}
spool: {{durability: none}}
smtpservers:
{''.join(mode.yaml() for mode in modes())}""")


def addresses(server):
    """The address of each server, by its name."""
    found = {}
    for line in server.lines:
        match = re.search(r"event=listening .*addr=127\.0\.0\.1:(\d+) name=(\S+)", line)
        if match:
            found[match[2]] = ("127.0.0.1", int(match[1]))
    return found


def test_every_cell():
    path = gateway(lib_auth.users("plain", count=2))
    count, cells, wrong = len(list(modes())), 0, []
    with serve(path, listeners=count) as server:
        at = addresses(server)
        equal(len(at), count, "servers")
        for mode in modes():
            ways = PROXIED if mode.has_proxy else DIRECT
            logins = (False, True) if mode.has_auth else (False,)
            for (tcp, line, is_in), is_logged_in, hello in itertools.product(ways, logins, HELLOS):
                session = Session(at[str(mode)], tcp, line, hello, is_logged_in)
                with session.client:
                    more, bad = check_session(session, mode, is_in, is_logged_in, hello)
                cells += more
                wrong += bad
        server.stop()
    print(f"{cells} cells")
    assert cells > 50_000, cells
    assert not wrong, f"{len(wrong)} cells:\n" + "\n".join(wrong[:20])


# --- nmap ------------------------------------------------------------------------------------

def nmap_says(address, *arguments):
    done = subprocess.run(["nmap", "-Pn", "-n", "--disable-arp-ping", "-p", str(address[1]), "--script", "+smtp-open-relay",
                           "--script-args", ",".join(("smtp-open-relay.to=victim@example.org", *arguments)), address[0]],
                          capture_output=True, text=True, timeout=120, check=False)
    match = re.search(r"smtp-open-relay: (.*)", done.stdout)
    assert match, done.stdout + done.stderr
    return done.stdout[match.start():]


def test_nmap_finds_nothing():
    if shutil.which("nmap", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
        print("(left out: nmap is not installed)")
        return
    body = ("domains: [example.com]\ndefaultDomain: example.com\nspool: {durability: none}\nsmtpservers:\n"
            "  - {bind: '127.0.0.1:0', helloName: mx.example.com, handlerchain: [], verifyIdentity: %s, maxErrors: 0%s}\n")
    for identity in IDENTITIES:
        with serve(write_config(body % (identity, ""))) as server:
            for sender in ("a@example.org", "user0@example.com"):
                text = nmap_says(server.addresses[0], f"smtp-open-relay.from={sender}",
                                 "smtp-open-relay.domain=example.com", "smtp-open-relay.ip=127.0.0.1")
                assert "doesn't seem to be an open relay" in text, (identity, sender, text)
            server.stop()
    opened = "engine: {allowOpenRelay: true}\n" + body % ("disabled", ", authorizedAddresses: 0.0.0.0/0")
    with serve(write_config(opened)) as server:
        assert "Server is an open relay" in nmap_says(server.addresses[0]), "an open one is not found"
        server.stop()


run(globals())
