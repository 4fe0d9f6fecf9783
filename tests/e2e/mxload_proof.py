"""mxload --verify: what a server has stored against the ledger. Between mxload and that server is a
proxy that changes, drops and doubles one message each of 10,000: it is found every time, and nothing
else is."""
import json
import mailbox
import os
import random
import re
import socket
import subprocess
import tempfile
import threading

import lib_mxring
from lib_mxring import SLOW, Receiver, equal, run, skip

MXLOAD = os.path.join(os.path.dirname(lib_mxring.MXRING), "mxload")
if not os.path.exists(MXLOAD):
    skip(f"there is no {MXLOAD}")
MESSAGES = 10000
SEEDS = 6


class Smtp(Receiver):
    """Gives each message, without dot stuffing, to take(state, content). connect() makes the state of a
    connection."""

    def __init__(self, take, connect=lambda: None):
        self.take = take
        self.connect = connect
        super().__init__(Smtp.serve)

    def serve(self, peer, lines):
        state = self.connect()
        peer.sendall(b"220 x\r\n")
        replies = b""
        for line in lines:
            verb = line[:4].upper()
            if verb == b"DATA":
                peer.sendall(replies + b"354 go\r\n")
                replies = b""
                parts = []
                for part in iter(lines.readline, b".\r\n"):
                    if not part:
                        return
                    parts.append(part[1:] if part[:1] == b"." else part)
                self.take(state, b"".join(parts))
            replies += b"250 ok\r\n"
            if verb != b"MAIL" and verb != b"RCPT":  # those come in groups
                peer.sendall(replies)
                replies = b""


class Proxy(Smtp):
    """Hands every message on to upstream, but those that were chosen."""

    def __init__(self, upstream, seed):
        super().__init__(self.take_message, self.connect_upstream)
        self.upstream = upstream
        self.random = random.Random(seed)
        chosen = self.random.sample(range(MESSAGES), 3)
        self.plants = dict(zip(chosen, ("changed", "lost", "doubled")))
        self.lock = threading.Lock()
        self.count = 0
        self.done = {}  # what: sequence

    def connect_upstream(self):
        host, port = self.upstream.split(":")
        peer = socket.create_connection((host, int(port)), SLOW)
        return peer, peer.makefile("rb")

    def spoil(self, content):
        octets = bytearray(content)
        octets[self.random.randrange(len(octets))] ^= 1 << self.random.randrange(8)
        return bytes(octets)

    def take_message(self, upstream, content):
        with self.lock:
            what = self.plants.get(self.count)
            self.count += 1
            if what:
                self.done[what] = int(re.search(rb"X-Mxload-Seq: (\d+)", content)[1])
        if what == "changed":
            content = self.spoil(content)
        for _ in range({"lost": 0, "doubled": 2}.get(what, 1)):
            self.hand_on(upstream, content)

    @staticmethod
    def hand_on(upstream, content):
        peer, replies = upstream
        stuffed = re.sub(rb"^\.", b"..", content, flags=re.M)
        peer.sendall(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n")
        while not replies.readline().startswith(b"354"):
            pass
        peer.sendall(stuffed + b".\r\n")
        equal(replies.readline(), b"250 ok\r\n", "upstream")


# ---- ways to store

TRACE = b"Received: from x by y;\r\n\tWed, 25 Nov 2026 00:00:00 +0000\r\n"


def as_mbox(folder, messages, end=b"\n"):
    path = f"{folder}/mbox"
    with open(path, "wb") as file:
        for text in messages:
            text = re.sub(rb"^(>*From )", rb">\1", TRACE + text, flags=re.M)
            file.write((b"From a@example.org Wed Nov 25 00:00:00 2026\r\n" + text + b"\r\n")
                       .replace(b"\r\n", end))
    return path


def as_crlf_mbox(folder, messages):
    return as_mbox(folder, messages, b"\r\n")


def as_maildir(folder, messages):
    for name in ("new", "cur", "tmp"):
        os.makedirs(f"{folder}/bob/{name}")
    for i, text in enumerate(messages):
        with open(f"{folder}/bob/{'new' if i % 2 else 'cur'}/{i}", "wb") as file:
            file.write(TRACE + text)
    with open(f"{folder}/bob/tmp/half", "wb") as file:
        file.write(messages[0][:100])
    return folder


def verify(ledger, *arguments, status, **how):
    result = subprocess.run([MXLOAD, "--verify", ledger, "--json", *arguments], capture_output=True,
                            timeout=240, check=False, **how)
    equal(result.returncode, status, f"{arguments}: {result.stdout[:2000]} {result.stderr}")
    return json.loads(result.stdout)


def load(address, ledger, *arguments, messages=MESSAGES):
    result = subprocess.run(
        [MXLOAD, "--json", "--ledger", ledger, "-m", str(messages), "-s", "4", "-d", "--pipeline",
         *arguments, address], capture_output=True, text=True, timeout=240, check=False)
    equal(result.returncode, 0, result.stdout + result.stderr)


def test_what_was_planted_is_found_and_nothing_else():
    for seed in range(SEEDS):
        stored = []
        store = (as_mbox, as_maildir, as_crlf_mbox)[seed % 3]
        with tempfile.TemporaryDirectory() as folder, \
                Smtp(lambda _, content, to=stored: to.append(content)) as server, \
                Proxy(server.address, seed) as proxy:
            load(proxy.address, f"{folder}/ledger", "-l", "0-2000", "--seed", str(seed))
            path = store(folder if store != as_maildir else f"{folder}/mail", stored)
            result = verify(f"{folder}/ledger", path, status=1)
        equal(len(proxy.done), 3, "planted")
        faults = {(fault["what"], fault["seq"]) for fault in result["faults"]}
        wanted = set(proxy.done.items())
        # The octet may have been one of those that say which message it is: then it is lost, and a
        # message that nobody sent, or a second one of another number, has come instead.
        spoiled = ("changed", proxy.done["changed"])
        if spoiled not in faults:
            wanted = wanted - {spoiled} | {("lost", proxy.done["changed"])}
            intruders = faults - wanted
            assert result["others"] == 1 or (
                {what for what, _ in intruders} <= {"changed", "doubled", "unlisted"}
                and intruders), f"seed {seed}: {result}"
            faults -= intruders
        equal(faults, wanted, f"seed {seed}")
        equal(result["accepted"], MESSAGES, "accepted")


def test_clean_is_proved():
    stored = []
    with tempfile.TemporaryDirectory() as folder, \
            Smtp(lambda _, content: stored.append(content)) as server:
        load(server.address, f"{folder}/ledger", "-l", "0-3000", messages=1000)
        for store in (as_mbox, as_maildir):
            path = store(f"{folder}/{store.__name__}" if store == as_maildir else folder, stored)
            result = verify(f"{folder}/ledger", path, status=0)
            assert result["good"] and result["found"] == 1000 and not result["faults"], result
        with open(f"{folder}/mbox", "rb") as file:
            equal(verify(f"{folder}/ledger", "-", status=0, stdin=file)["found"], 1000, "stdin")
        equal(verify(f"{folder}/ledger", path, f"{folder}/mbox", "--copies", "2",
                     status=0)["found"], 2000, "copies")
        equal(verify(f"{folder}/ledger", path, "--copies", "2-3", status=1)["lost"], 1000, "2-3")
        with open(f"{folder}/mbox", "ab") as file:
            file.write(b"From x\nSubject: of somebody else\n\n")
        equal(verify(f"{folder}/ledger", f"{folder}/mbox", status=1)["others"], 1, "others")
        verify(f"{folder}/ledger", f"{folder}/mbox", "--others", status=0)


def test_messages_of_an_mbox():
    """What Python's mailbox reads out of an mbox is what arrives; and the proof of it."""
    texts = ["Subject: a\n\nFrom here on\n.\n..x\n\nFrom there\n", "Subject: b\n\n>From x\n\n\n",
             "Subject: c\n\n" + "y" * 40000 + "\n", "Subject: d\n\n"]
    with tempfile.TemporaryDirectory() as folder:
        box = mailbox.mbox(f"{folder}/real")
        for text in texts:
            message = mailbox.mboxMessage(text)
            message.set_from("a@example.org Wed Nov 25 00:00:00 2026")
            box.add(message)
        box.close()
        for how in ([], ["--no-verify"]):
            stored = []
            with Smtp(lambda _, content, to=stored: to.append(content)) as server:
                load(server.address, f"{folder}/ledger", "--mbox", f"{folder}/real", *how,
                     messages=40)
            bodies = sorted({text.split(b"\r\n\r\n", 1)[1].decode() for text in stored})
            # Python quotes "From " only, and not what is quoted already
            wanted = [text.replace("\n>From ", "\nFrom ").replace("\n", "\r\n")
                      .partition("\r\n\r\n")[2] for text in texts]
            assert bodies == sorted(wanted), [text[:80] for text in bodies]
            path = as_mbox(folder, stored)
            if how:
                verify(f"{folder}/ledger", path, status=1)
                verify(f"{folder}/ledger", path, "--no-hash", status=0)
            else:
                verify(f"{folder}/ledger", path, status=0)
                with open(path, "rb") as file:
                    changed = file.read().replace(b"Subject: b", b"Subject: B")
                with open(path, "wb") as file:
                    file.write(changed)
                equal(verify(f"{folder}/ledger", path, status=1)["changed"], 10, "headers")
                verify(f"{folder}/ledger", path, "--bodies-only", status=0)


def test_trouble_is_said():
    def said(*arguments, status=2):
        result = subprocess.run([MXLOAD, "--verify", *arguments], capture_output=True, text=True,
                                timeout=SLOW, stdin=subprocess.DEVNULL, check=False)
        equal(result.returncode, status, arguments)
        return result.stderr
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/ledger", "w", encoding="ascii") as file:
            file.write("0123456789abcdef 000000000000 550 no\n")
        assert "LEDGER PATH" in said(f"{folder}/ledger")
        assert "No such file" in said(f"{folder}/none", folder)
        assert "No such file" in said(f"{folder}/ledger", f"{folder}/none")
        assert "unknown option" in said("--what", "x", "y")
        for copies in ("", "x", "-1", "3-2", "70000"):
            assert "--copies" in said(f"{folder}/ledger", folder, "--copies", copies)
        assert "--copies" in said(f"{folder}/ledger", folder, "--copies")
        equal(said("--help", status=0), "", "help")
        os.mkdir(f"{folder}/empty")
        said(f"{folder}/ledger", f"{folder}/empty", status=0)
        with open(f"{folder}/ledger", "a", encoding="ascii") as file:
            file.write("0123456789abcdef 000000000000 550 no\n")
        assert "ledger:2: the message was in a line before" in said(f"{folder}/ledger", folder)
        with open(f"{folder}/ledger", "w", encoding="ascii") as file:
            file.write("hello\n")
        assert "ledger:1: this is no line of a ledger" in said(f"{folder}/ledger", folder)
    with tempfile.NamedTemporaryFile() as file:
        for text, words in ((b"", "no message"), (b"Subject: x\n\ny\n", "no mbox")):
            with open(file.name, "wb") as to:
                to.write(text)
            result = subprocess.run([MXLOAD, "--mbox", file.name, "127.0.0.1:1"], text=True,
                                    capture_output=True, timeout=SLOW, check=False)
            equal(result.returncode, 1, "status")
            assert words in result.stderr, result.stderr


run(globals())
