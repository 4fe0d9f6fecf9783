#!/usr/bin/env python3
"""Compaction: a few messages that nobody delivers do not hold the space of all the others. They keep
their ids and their octets, also while the tools look, after kill -9, and when they are in many parts.
"""
import json
import os
import random
import signal
import subprocess
import tempfile
import threading
import time

from lib_mxring import MXRING, Client, equal, eventually, mxring, run, serve, write_config

MXLOAD = os.environ.get("MXLOAD") or os.path.join(os.path.dirname(MXRING), "mxload")
LARGE = b"".join(b"%07d\r\n" % i for i in range(1_000_000))  # 9 MB: more than two segments


def gateway(folder, more="compactAfter: 0", workers=2):
    return write_config(f"""\
engine: {{workers: {workers}}}
domains: [example.com]
spool: {{directory: "{folder}/spool", segmentSize: 4M, reserve: 0, {more}}}
smtpservers:
  - {{bind: "127.0.0.1:0", helloName: mx.example, handlerchain: [], verifyIdentity: disabled}}
""")


def spool(*arguments, status=0, seconds=120):
    result = mxring("spool", *arguments, seconds=seconds)
    equal(result.returncode, status, f"{arguments[:3]}: {result.stderr}{result.stdout[-2000:]}")
    return result.stdout


def octets(root, message_id):
    return subprocess.run([MXRING, "spool", "cat", root, message_id], capture_output=True, timeout=60,
                          check=True).stdout


def load(address, messages, ledger):
    result = subprocess.run(
        [MXLOAD, "--pipeline", "-t", "bob@example.com", "-s", "8", "-l", "1000-80000", "-m", str(messages),
         "--ledger", ledger, address], capture_output=True, text=True, timeout=100, check=False)
    equal(result.returncode, 0, result.stdout + result.stderr)


def ids(root):
    return [line.split()[0] for line in spool("ls", root).splitlines()]


def stat(root):
    return json.loads(spool("stat", "--json", root))


def send_large(address):
    with Client(address) as client:
        client.command("EHLO x", "250")
        client.command("MAIL FROM:<a@b.org>", "250")
        client.command("RCPT TO:<bob@example.com>", "250")
        client.command("DATA", "354")
        client.socket.sendall(LARGE + b".\r\n")
        client.expect("250", "the large one")


def drop_most(root, rng, kept):
    """All but a few, and those that must stay."""
    waiting = [one for one in ids(root) if one not in kept]
    stay = set(rng.sample(waiting, max(1, len(waiting) // 50))) | set(kept)
    gone = [one for one in waiting if one not in stay]
    for first in range(0, len(gone), 200):
        spool("drop", root, *gone[first:first + 200])
    return stay


def test_stuck_messages():
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        root = f"{folder}/spool"
        path = gateway(folder)
        with serve(path) as server:
            load(server.address, 300, f"{folder}/ledger.1")
            before = set(ids(root))
            send_large(server.addresses[0])
            large = next(iter(set(ids(root)) - before))
            load(server.address, 500, f"{folder}/ledger.2")
            first = stat(root)["disk"]
            stay = drop_most(root, rng, {large})
            contents = {one: octets(root, one) for one in stay}
            assert contents[large].endswith(LARGE), len(contents[large])
            listed = [one for one in ids(root) if one in stay]

            def is_compacted():
                now = stat(root)
                # not those in which mail began that ended in a segment that is not full yet
                return now["segments"]["compacted"] > 2 and now["disk"] < first - (8 << 20)
            eventually(is_compacted, "the space of the others is free", seconds=30)
            equal(stat(root)["recipients"] - stat(root)["done"], len(stay))
            equal(ids(root), listed, "the same, in the same order")
            for one in stay:
                equal(octets(root, one), contents[one], one)
            assert "sound: " in spool("verify", root)
            server.stop()
            assert server.logged("event=spool_compacted"), server.lines[-20:]
        equal(set(ids(root)), stay, "closed")
        with serve(path) as server:
            equal(set(ids(root)), stay, "started again")
            for one in stay:
                equal(octets(root, one), contents[one], one)
            equal(len(spool("export", "--ack", "--raw", "--maildir", f"{folder}/mail", root)) > 0, True)
            eventually(lambda: "messages    0\n" in spool("stat", root), "all is free", seconds=30)
            server.stop()
        equal(len(os.listdir(f"{folder}/mail/new")), len(stay))
        assert "sound: " in spool("verify", root)


def test_a_slow_client_holds_nothing():
    """A message that takes for ever keeps its parts; all that comes after it is freed as usual."""
    with tempfile.TemporaryDirectory() as folder:
        root = f"{folder}/spool"
        with serve(gateway(folder, workers=1)) as server, Client(server.addresses[0]) as slow:
            slow.envelope()
            slow.command("DATA", "354")
            cut = len(LARGE) // 2
            slow.socket.sendall(LARGE[:cut])
            for number in range(4):
                load(server.address, 400, f"{folder}/ledger.{number}")
                spool("drop", root, *ids(root))
            # 64 MB have come; what is left: the parts of the slow one, and what came last
            eventually(lambda: stat(root)["segments"]["sealed"] < 8, "the space of the others",
                       seconds=30)
            slow.socket.sendall(LARGE[cut:] + b".\r\n")
            slow.expect("250", "the slow one")
            one, = ids(root)
            assert octets(root, one).endswith(LARGE), "what the slow one sent"
            assert "sound: " in spool("verify", root)
            server.stop()


def test_tools_look_meanwhile():
    """Nothing is called damaged, nothing is there twice, what waits is always there."""
    rng, troubles, stop = random.Random(2), [], threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        root = f"{folder}/spool"
        with serve(gateway(folder)) as server:
            before = set()
            load(server.address, 100, f"{folder}/ledger.0")
            send_large(server.addresses[0])
            waiting = drop_most(root, rng, ids(root)[-1:])

            def look():
                number = 0
                while not stop.is_set():
                    number += 1
                    wanted = set(waiting)
                    for arguments in (("ls",), ("verify",), ("stat",),
                                      ("export", "--mbox", f"{folder}/mbox.{number}")):
                        result = mxring("spool", *arguments, root, seconds=100)
                        if result.returncode != 0 or result.stderr:
                            troubles.append((arguments, result.stderr, result.stdout[-500:]))
                        if arguments == ("ls",):
                            listed = [line.split()[0] for line in result.stdout.splitlines()]
                            if len(listed) != len(set(listed)) or not wanted <= set(listed):
                                troubles.append(("ls", listed, wanted))
                    os.remove(f"{folder}/mbox.{number}")

            reader = threading.Thread(target=look)
            reader.start()
            for number in range(1, 5):
                load(server.address, 200, f"{folder}/ledger.{number}")
                waiting |= drop_most(root, rng, waiting)
            stop.set()
            reader.join()
            equal(troubles, [])
            server.stop()
            assert server.logged("event=spool_compacted"), server.lines[-20:]
            before |= waiting
        equal(set(ids(root)), before)


def test_killed_meanwhile():
    rng = random.Random(3)
    stay, contents = set(), {}
    with tempfile.TemporaryDirectory() as folder:
        root = f"{folder}/spool"
        path = gateway(folder)
        for number in range(6):
            with serve(path) as server:
                load(server.address, 300, f"{folder}/ledger.{number}")
                stay |= drop_most(root, rng, stay)
                contents.update({one: octets(root, one) for one in stay if one not in contents})
                time.sleep(rng.uniform(0, 0.8))
                server.signal(signal.SIGKILL)
            assert "sound: " in spool("verify", root)
            equal(set(ids(root)), stay, "killed")
        with serve(path) as server:
            equal(set(ids(root)), stay, "recovered")
            for one in stay:
                equal(octets(root, one), contents[one], one)
            equal([name for name in os.listdir(f"{root}/0") if name.endswith(".new")], [])
            server.stop()


def test_never():
    with tempfile.TemporaryDirectory() as folder:
        root = f"{folder}/spool"
        with serve(gateway(folder, "compactAfter: 0, compactBelow: 0%")) as server:
            load(server.address, 300, f"{folder}/ledger")
            drop_most(root, random.Random(4), set())
            time.sleep(1.2)  # the keeper looks twice a second
            server.stop()
            assert not server.logged("event=spool_compacted"), server.lines[-20:]
            assert server.logged(" compacted=0 "), server.lines[-20:]


run(globals())
