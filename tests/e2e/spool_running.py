#!/usr/bin/env python3
"""mxring spool on a spool that is in use: while mail comes in, while segments are used again, and after
kill -9 before anybody has recovered it. What is told must always be so: no damage that is none, nothing
twice, nothing lost.
"""
import json
import os
import signal
import subprocess
import tempfile
import threading
import time

from lib_mxring import MXRING, Client, equal, eventually, mxring, run, serve, write_config

MXLOAD = os.environ.get("MXLOAD") or os.path.join(os.path.dirname(MXRING), "mxload")


def gateway(folder):
    return write_config(f"""\
engine: {{workers: 2}}
domains: [example.com]
spool: {{directory: "{folder}/spool", segmentSize: 4M, reserve: 0}}
smtpservers:
  - {{bind: "127.0.0.1:0", helloName: mx.example, handlerchain: [], verifyIdentity: disabled}}
""")


def load(address, ledger, messages=1_000_000, size="1-9000"):
    return subprocess.Popen(
        [MXLOAD, "--pipeline", "-t", "bob@example.com", "-d", "-s", "8", "-l", size, "-m", str(messages),
         "--timeout", "5", "--ledger", ledger, address],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def proved(ledger, mail, *options):
    result = subprocess.run([MXLOAD, "--verify", *options, ledger, mail], capture_output=True, text=True,
                            timeout=120, check=False)
    equal(result.returncode, 0, result.stdout + result.stderr)


def spool(*arguments, status=0, seconds=120):
    result = mxring("spool", *arguments, seconds=seconds)
    equal(result.returncode, status, f"{arguments}: {result.stderr}{result.stdout[-2000:]}")
    return result


def test_commands_under_load():
    """Nothing is ever called damaged, and what ls lists only grows."""
    with tempfile.TemporaryDirectory() as folder:
        with serve(gateway(folder)) as server:
            client = load(server.address, f"{folder}/ledger")
            before = set()
            for _ in range(6):
                result = spool("ls", f"{folder}/spool")
                equal(result.stderr, "", "ls")
                ids = [line.split()[0] for line in result.stdout.splitlines()]
                equal(len(ids), len(set(ids)), "an id twice")
                assert before <= set(ids), "messages have gone"
                before = set(ids)
                result = spool("verify", f"{folder}/spool")
                assert "damaged /" not in result.stdout and "sound: " in result.stdout, result.stdout
                equal(json.loads(spool("stat", "--json", f"{folder}/spool").stdout)["running"], True)
            assert before
            client.terminate()
            client.wait(30)
            result = spool("export", "--raw", "--maildir", f"{folder}/mail", f"{folder}/spool")
            equal(result.stderr, "", "export")
            proved(f"{folder}/ledger", f"{folder}/mail", "--others")
            server.stop()
        equal(len(spool("ls", f"{folder}/spool").stdout.splitlines()),
              len(os.listdir(f"{folder}/mail/new")))


def test_killed_and_not_recovered():
    """The commands follow the rules of recovery by themselves."""
    with tempfile.TemporaryDirectory() as folder:
        path = gateway(folder)
        with serve(path) as server:
            client = load(server.address, f"{folder}/ledger")
            time.sleep(0.5)
            server.signal(signal.SIGKILL)
            client.wait(30)
        verified = spool("verify", f"{folder}/spool").stdout
        assert "sound: " in verified, verified
        listed = sorted(spool("ls", f"{folder}/spool").stdout.splitlines())
        spool("export", "--raw", "--maildir", f"{folder}/mail", f"{folder}/spool")
        proved(f"{folder}/ledger", f"{folder}/mail", "--others")
        with serve(path) as server:
            equal(sorted(spool("ls", f"{folder}/spool").stdout.splitlines()), listed, "recovered")
            server.stop()
        equal(sorted(spool("ls", f"{folder}/spool").stdout.splitlines()), listed, "closed")


def test_one_message_is_seen_at_once():
    with tempfile.TemporaryDirectory() as folder, serve(gateway(folder)) as server:
        with Client(server.addresses[0]) as client:
            client.message("Subject: now\r\n\r\ntext\r\n")
            line = spool("ls", f"{folder}/spool").stdout
            equal(len(line.splitlines()), 1)
            text = spool("cat", f"{folder}/spool", line.split()[0]).stdout
            assert text.endswith("Subject: now\n\ntext\n"), text
            spool("export", "--mbox", f"{folder}/mbox", f"{folder}/spool")
            with open(f"{folder}/mbox", encoding="ascii") as file:
                assert "Subject: now\n" in file.read()
        server.stop()


def test_segments_are_used_again_meanwhile():
    """Mail is exported and acknowledged while more comes in; readers go on beside it."""
    with tempfile.TemporaryDirectory() as folder:
        root, troubles = f"{folder}/spool", []
        stop = threading.Event()

        def read():
            while not stop.is_set():
                for name in ("ls", "verify", "stat"):
                    result = mxring("spool", name, root, seconds=60)
                    if result.returncode != 0 or result.stderr:
                        troubles.append((name, result.returncode, result.stderr, result.stdout[-500:]))

        with serve(gateway(folder)) as server:
            client = load(server.address, f"{folder}/ledger", messages=4000, size="20000")
            eventually(lambda: os.path.exists(f"{root}/meta"), "a spool")
            reader = threading.Thread(target=read)
            reader.start()
            while client.poll() is None:
                spool("export", "--ack", "--raw", "--maildir", f"{folder}/mail", root)
            equal(client.returncode, 0, "mxload")
            spool("export", "--ack", "--raw", "--maildir", f"{folder}/mail", root)
            stop.set()
            reader.join()
            equal(spool("ls", root).stdout, "")
            server.stop()
        equal(troubles, [])
        proved(f"{folder}/ledger", f"{folder}/mail")
        equal(len(os.listdir(f"{folder}/mail/new")), 4000)


if __name__ == "__main__":
    run(globals())
