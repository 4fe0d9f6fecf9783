"""The durable gateway: what was answered with 250 is there once, octet for octet, after kill -9 at any
moment; segments are freed when their mail is done with; a full disk is a 452.

SPOOL_KILL_ROUNDS: how often it is killed (20; 50 fill 5 GB), SPOOL_KILL_SEED: when (4711).
"""
import os
import random
import signal
import subprocess
import tempfile
import threading
import time

from lib_mxring import MXRING, Client, equal, eventually, mxring, run, serve, write_config

MXLOAD = os.environ.get("MXLOAD") or os.path.join(os.path.dirname(MXRING), "mxload")
RUNS_AT_A_TIME = 60  # that mxload verifies
ROUNDS = int(os.environ.get("SPOOL_KILL_ROUNDS", "20"))


def gateway(folder, more=""):
    return write_config(f"""\
engine: {{workers: 2}}
domains: [example.com]
spool: {{directory: "{folder}/spool", segmentSize: 4M, reserve: 0, {more}}}
smtpservers:
  - {{bind: "127.0.0.1:0", helloName: mx.example, handlerchain: [], verifyIdentity: disabled}}
lmtpservers:
  - {{bind: "127.0.0.1:0", helloName: mx.example, handlerchain: []}}
""")


def load(address, *arguments, ledger=None):
    more = ["--ledger", ledger] if ledger else []
    return subprocess.Popen(
        [MXLOAD, "--pipeline", "-t", "bob@example.com", "-d", *more, *arguments, address],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def proved(spool, folder, ledgers):
    """Nothing of what the ledgers say was accepted is lost, doubled or changed."""
    result = mxring("spool", "verify", spool, seconds=240)
    equal(result.returncode, 0, result.stdout + result.stderr)
    result = mxring("spool", "export", "--raw", "--maildir", f"{folder}/mail", spool, seconds=600)
    equal(result.returncode, 0, result.stderr)
    for first in range(0, len(ledgers), RUNS_AT_A_TIME):
        with open(f"{folder}/ledger", "wb") as together:
            for path in ledgers[first:first + RUNS_AT_A_TIME]:
                with open(path, "rb") as file:  # empty, when it was killed before anything
                    together.write(file.read())
        result = subprocess.run([MXLOAD, "--verify", "--others", f"{folder}/ledger", f"{folder}/mail"],
                                capture_output=True, text=True, timeout=240, check=False)
        equal(result.returncode, 0, result.stdout + result.stderr)


def test_kill_under_load():
    rng = random.Random(int(os.environ.get("SPOOL_KILL_SEED", "4711")))
    accepted = 0
    with tempfile.TemporaryDirectory() as folder:
        path, ledgers = gateway(folder), []
        for number in range(ROUNDS):
            with serve(path, listeners=2) as server:
                ledgers.append(f"{folder}/ledger.{number}")
                size = rng.choice(["1-3000", "4096", "20000-200000"])
                client = load(server.address, "-s", "16", "-l", size, "-m", "1000000",
                              "--timeout", "5", ledger=ledgers[-1])
                time.sleep(rng.uniform(0.02, 0.25))
                server.signal(signal.SIGKILL)
                client.wait(30)
            with open(ledgers[-1], encoding="ascii", errors="replace") as file:
                accepted += sum(" 250 " in line for line in file)
        assert accepted > ROUNDS, accepted
        print(f"killed {ROUNDS} times, {accepted} messages were accepted", flush=True)
        with serve(path, listeners=2) as server:  # recovers the last one
            server.stop()
        proved(f"{folder}/spool", folder, ledgers)


def test_clean_stop_and_every_mode():
    for more in ("syncMode: dsync", "syncMode: fdatasync", "durability: write"):
        with tempfile.TemporaryDirectory() as folder:
            with serve(gateway(folder, more), listeners=2) as server:
                equal(load(server.address, "-s", "8", "-m", "300", "-l", "1-60000",
                           ledger=f"{folder}/smtp").wait(60), 0)
                host, port = server.addresses[1]
                equal(load(f"{host}:{port}", "-s", "4", "-m", "50", "--lmtp", "--bdat",
                           ledger=f"{folder}/lmtp").wait(60), 0)
                server.stop()
            result = mxring("spool", "stat", f"{folder}/spool")
            assert " 0 open" in result.stdout, result.stdout
            proved(f"{folder}/spool", folder, [f"{folder}/smtp", f"{folder}/lmtp"])


def test_segments_are_freed():
    with tempfile.TemporaryDirectory() as folder:
        spool = f"{folder}/spool"
        with serve(gateway(folder), listeners=2) as server:
            equal(load(server.address, "-s", "4", "-m", "600", "-l", "40000").wait(60), 0)
            result = mxring("spool", "export", "--ack", "--mbox", f"{folder}/mbox", spool)
            equal(result.returncode, 0, result.stderr)

            def is_freed():
                sizes = mxring("spool", "stat", spool).stdout
                return int(sizes.split("messages")[1].split()[0]) < 300
            eventually(is_freed, "segments whose mail is done with are free")
            equal(load(server.address, "-s", "4", "-m", "600", "-l", "40000").wait(60), 0)
            server.stop()
        equal(mxring("spool", "verify", spool).returncode, 0)


def test_messages_larger_than_segments():
    """Segments in the middle of one have no message of their own, and must stay all the same."""
    with tempfile.TemporaryDirectory() as folder:
        spool = f"{folder}/spool"
        with serve(gateway(folder), listeners=2) as server:
            small = load(server.address, "-s", "4", "-m", "2000", "-l", "4096")
            equal(load(server.address, "-s", "3", "-m", "9", "-l", "21000000",
                       ledger=f"{folder}/large").wait(100), 0)
            equal(small.wait(60), 0)
            time.sleep(1.2)  # the keeper looks twice a second
            server.stop()
        proved(spool, folder, [f"{folder}/large"])


def test_many_chunks_on_a_busy_disk():
    """BDAT behind BDAT, faster than they can be stored: each waits for room."""
    chunk = b"x" * 99998 + b"\r\n"
    message = (b"MAIL FROM:<a@b.org>\r\nRCPT TO:<bob@example.com>\r\n"
               + (b"BDAT %d\r\n" % len(chunk) + chunk) * 30 + b"BDAT 0 LAST\r\n")
    failed = []

    def send(address):
        try:
            with Client(address) as client:
                client.command("EHLO x", "250")
                for _ in range(3):
                    client.socket.sendall(message)
                    for _ in range(33):
                        client.expect("250", "a chunk")
        except Exception as error:  # told at the end
            failed.append(error)

    with tempfile.TemporaryDirectory() as folder:
        with serve(gateway(folder), listeners=2) as server:
            threads = [threading.Thread(target=send, args=(server.addresses[0],))
                       for _ in range(24)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
            equal(failed, [])
            server.stop()
        result = mxring("spool", "stat", f"{folder}/spool")
        assert "messages    72\n" in result.stdout, result.stdout
        equal(mxring("spool", "verify", f"{folder}/spool", seconds=60).returncode, 0)


def test_recipients_that_do_not_fit():
    """An envelope has to fit into a batch: recipients are refused, not the message at its end."""
    with tempfile.TemporaryDirectory() as folder:
        path = gateway(folder)
        with open(path, encoding="utf-8") as file:
            text = file.read().replace("verifyIdentity:", "maxRecipients: 20000, maxErrors: 0, verifyIdentity:")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        with serve(path, listeners=2) as server, Client(server.addresses[0]) as client:
            client.command("EHLO x", "250")
            client.command("MAIL FROM:<a@b.org>", "250")
            replies = []
            for _ in range(16):
                client.send("".join(f"RCPT TO:<{len(replies) + i:030}@example.com>\r\n" for i in range(500)))
                replies += [client.reply()[:9] for _ in range(500)]
            taken = replies.count("250 2.1.5")
            equal(set(replies), {"250 2.1.5", "452 4.5.3"}, "replies")
            assert 4000 < taken < 8000, taken
            equal(replies[:taken], ["250 2.1.5"] * taken, "the first ones")
            client.command("DATA", "354")
            client.send("Subject: many\r\n\r\n" + "x" * 70 + "\r\n.\r\n")
            client.expect("250", "the message")
            server.stop()
        line = mxring("spool", "ls", f"{folder}/spool").stdout
        equal(int(line.split()[3]), taken, "recipients")
        equal(mxring("spool", "verify", f"{folder}/spool", seconds=60).returncode, 0)


def test_full_disk_is_a_452():
    with tempfile.TemporaryDirectory() as folder:
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        path = gateway(folder)
        with open(path, encoding="utf-8") as file:
            text = file.read().replace("reserve: 0", f"reserve: {min(free, 1 << 40)}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        with serve(path, listeners=2) as server, Client(server.addresses[0]) as client:
            client.command("EHLO x", "250")
            client.command("MAIL FROM:<a@b.org>", "452")
            client.command("NOOP", "250")
            server.stop()


def test_one_server_a_spool():
    with tempfile.TemporaryDirectory() as folder:
        path = gateway(folder)
        with serve(path, listeners=2) as server:
            result = mxring("serve", "-c", path)
            equal(result.returncode, 74, result.stderr)
            assert "spool" in result.stderr, result.stderr
            server.stop()


run(globals())
