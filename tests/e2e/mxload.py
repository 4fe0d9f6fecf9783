"""mxload against mxring sink and against servers that misbehave: what it counts is what they saw."""
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

import lib_mxring
from lib_mxring import SLOW, Receiver, equal, eventually, run, sink, skip
from lib_spool import crc32c

MXLOAD = os.path.join(os.path.dirname(lib_mxring.MXRING), "mxload")
if not os.path.exists(MXLOAD):
    skip(f"there is no {MXLOAD}")


def mxload(*arguments, status=0):
    """The JSON result; the exit status must be this one."""
    result = subprocess.run([MXLOAD, "--json", *map(str, arguments)], capture_output=True,
                            text=True, timeout=240, check=False)
    equal(result.returncode, status, f"{arguments}: {result.stdout} {result.stderr}")
    return json.loads(result.stdout) if result.stdout.startswith("{") else result.stderr


def ledger(path):
    """{sequence: (fate, text)}; a sequence that is there twice is an error."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, seq, fate, text = re.fullmatch(
                r"([0-9a-f]{16}) (\d{12}) (\d{3}|unknown) ?(.*)\n", line).groups()
            assert int(seq) not in found, f"twice: {line}"
            found[int(seq)] = (fate, text)
            assert name
    return found


def test_ledger_times():
    """When the fate of each was known: within the run, and in the order of the lines."""
    begin = time.monotonic_ns()
    with tempfile.NamedTemporaryFile() as file, sink("--workers", "1") as receiver:
        mxload("-m", 200, "-s", 3, "--ledger", file.name, "--ledger-times", receiver.address)
        receiver.stop()
        times = [re.match(r"@(\d+) 250 ", text) for _, text in ledger(file.name).values()]
    assert all(times) and len(times) == 200, times
    times = [int(match[1]) for match in times]
    equal(times, sorted(times), "in order")
    assert begin < times[0] and times[-1] < time.monotonic_ns(), times


def check(arguments, messages, recipients=None, server=()):
    """So many messages are counted by both sides, and each is in the ledger once."""
    with tempfile.NamedTemporaryFile() as file, sink("--workers", "1", *server) as receiver:
        result = mxload("-m", messages, "--ledger", file.name, *arguments, receiver.address)
        totals = receiver.stop()
        fates = ledger(file.name)
    equal(result["messages"]["accepted"], messages, "accepted")
    equal(totals["messages"], messages, "received")
    equal(totals["recipients"], recipients or messages, "recipients")
    equal(result["recipients"]["accepted"], recipients or messages, "recipients of mxload")
    equal(totals["bytes"], result["messages"]["octets"], "octets")
    equal(sorted(fates), list(range(messages)), "ledger")
    assert all(fate == "250" for fate, _ in fates.values()), fates
    return result, totals


def test_plain():
    result, totals = check(["-s", 10, "-l", 1024, "-d"], 2000)
    equal(totals["connections"], 10, "connections")
    equal(result["phases"]["mail"]["count"], 2000, "MAIL")
    equal(result["phases"]["final"]["count"], 2000, "final")


def test_a_connection_for_each_message():
    _, totals = check(["-s", 10, "-l", 1024], 500)
    equal(totals["connections"], 500, "connections")


def test_pipelined():
    result, _ = check(["-s", 20, "-l", 1024, "-d", "--pipeline"], 5000)
    equal(result["phases"]["group"]["count"], 5000, "groups")
    assert "mail" not in result["phases"], result


def test_lmtp():
    check(["--lmtp", "-s", 5, "-d"], 500, server=["--lmtp"])
    check(["-L", "-s", 5, "-d", "-r", 4, "--pipeline"], 500, 2000, server=["--lmtp"])


def test_several_recipients():
    check(["-s", 5, "-d", "-r", 3], 300, 900)
    check(["-s", 5, "-d", "-r", 3, "-N", "--pipeline"], 300, 900)
    check(["-s", 5, "-r", 100, "-N", "--pipeline"], 50, 5000)


def test_bdat():
    for pipeline in ([], ["--pipeline"]):
        check(["-s", 5, "-d", "--bdat", "-l", "0-100K", *pipeline], 300)
        check(["-s", 5, "--bdat", "-l", 2000, "-r", 2, "-N", *pipeline], 300, 600)
        check(["-s", 5, "-d", "--bdat", "-L", "-r", 2, *pipeline], 300, 600, server=["--lmtp"])


def test_sizes():
    check(["-s", 4, "-d", "-l", "0-200K", "--seed", 7], 400)
    check(["-s", 3, "-d", "-l", "8M", "--pipeline"], 20)


def test_without_a_copy():
    """Whatever the kernel makes of it: every octet arrives, and everything lent comes back."""
    for how in ([], ["--pipeline"], ["--bdat"]):
        result, _ = check(["-s", 4, "-d", "-l", "300K", "--zerocopy", "on", *how], 40)
        counts = result["zerocopy"]
        if counts["sent"] == counts["failed"]:
            return  # Linux 6.1 cannot
        equal((counts["sent"], counts["noticed"]), (40, 40), f"{how}: {counts}")
        # the filler; the line with the number is sent with a copy
        assert 40 * 300 * 1024 - 40 * 100 <= counts["octets"] <= 40 * 300 * 1024, counts
        equal(check(["-s", 4, "-d", "-l", "300K", "--zerocopy", "off", *how], 10)[0]["zerocopy"],
              {"mode": "off", "is_on": False, "sent": 0, "octets": 0, "noticed": 0, "copied": 0,
               "failed": 0}, "off")
    equal(check(["-d", "-l", "32K", "--zerocopy", "on"], 10)[0]["zerocopy"]["sent"], 0, "small")
    counts = check(["-s", 1, "-d", "-l", "300K"], 100)[0]["zerocopy"]
    equal(counts["mode"], "auto", "default")
    # the one that decided, and that which was under way
    assert counts["is_on"] or 16 <= counts["sent"] <= 18, counts
    with tempfile.TemporaryDirectory() as folder, Receiver(polite) as server:
        with open(f"{folder}/a", "wb") as file:
            file.write(b"A: b\n\n" + b".dots\n" * 20000)
        result = mxload("-m", 8, "-s", 2, "-d", "-F", f"{folder}/a", "--zerocopy", "on",
                        server.address)
        check_proof(server.messages, result["run"], 8)


def test_workers_and_sources():
    check(["-s", 7, "-d", "--workers", 3, "--sources", 5], 1001)


def test_waits():
    check(["-s", 2, "-d", "-w", 0.1], 6)
    check(["-s", 2, "-R", "0.2"], 6)


def test_messages_of_a_folder():
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("a", b"Subject: a\n\n.\n..x\nend"), ("b", b"Subject: b\r\n\r\n" + b"y\r\n" * 50000),
                           ("c", b"no headers at all")):
            with open(f"{folder}/{name}.eml", "wb") as file:
                file.write(text)
        check(["-s", 3, "-d", "--eml", folder], 60)
        check(["-s", 3, "-d", "--eml", folder, "--bdat"], 60)
        check(["-v", "-s", 3, "-d", "-F", f"{folder}/a.eml"], 30)
        equal("No such file" in mxload("-F", f"{folder}/d", "127.0.0.1:1", status=1), True, "-F")


# ---- refusals

def refused(server, *arguments, messages=20, status=1):
    with tempfile.NamedTemporaryFile() as file, sink("--workers", "1", *server) as receiver:
        result = mxload("-m", messages, "-s", 2, "--ledger", file.name, *arguments,
                        receiver.address, status=status)
        return result, ledger(file.name), receiver.stop()


def test_refusals_are_counted():
    for how in (["-d"], ["-d", "--pipeline"], [], ["--pipeline"]):
        for fault, code in (("MAIL", "450"), ("RCPT", "450"), ("DATA", "450"), (".", "450")):
            result, fates, totals = refused(["-r", fault], "-A", *how)
            equal(result["messages"]["refused_4xx"], 20, f"{fault} {how}")
            equal(result["messages"]["accepted"], 0, f"{fault} {how}")
            equal(totals["messages"], 0, f"{fault} {how}")
            equal({fate for fate, _ in fates.values()}, {code}, f"{fault} {how}")
            equal(sorted(fates), list(range(20)), "ledger")
        result, fates, _ = refused(["-f", "."], "-A", *how)
        equal(result["messages"]["refused_5xx"], 20, f"5xx {how}")
        equal(result["codes"], {"500": 20}, f"codes {how}")


def test_refusals_of_bdat():
    for how in ([], ["-d"], ["--pipeline"], ["--pipeline", "-d"]):
        for fault in ("MAIL", "RCPT", "BDAT"):
            result, fates, totals = refused(["-r", fault], "-A", "--bdat", "-r", 3, *how)
            equal(result["messages"]["refused_4xx"], 20, f"{fault} {how}")
            equal(totals["messages"], 0, f"{fault} {how}")
            equal({fate for fate, _ in fates.values()}, {"450"}, f"{fault} {how}")


def test_lmtp_refusals():
    result, _, _ = refused(["--lmtp", "-f", "."], "-A", "-L", "-d", "-r", "3")
    equal(result["codes"], {"500": 60}, "a reply for each recipient")
    equal(result["messages"]["refused_5xx"], 20, "messages")


def test_the_first_refusal_ends_the_run():
    result, _, _ = refused(["-r", "DATA"], "-d", messages=100000)
    assert 1 <= result["messages"]["refused_4xx"] <= 2, result
    assert result["ended_early"].startswith("450"), result


def test_a_server_that_closes():
    for fault in ("MAIL", "RCPT", "DATA", "."):
        for how in (["-d"], ["--pipeline", "-d"], []):
            result, fates, _ = refused(["-q", fault], "-A", *how, messages=6)
            equal(result["messages"]["unknown"], 6, f"{fault} {how}")
            equal({fate for fate, _ in fates.values()}, {"unknown"}, f"{fault} {how}")
            equal(sorted(fates), list(range(6)), "ledger")


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = mxload("-m", 5, f"127.0.0.1:{port}", status=1)
    equal(result["messages"]["accepted"], 0, "accepted")
    assert "refused" in result["ended_early"], result


def test_a_server_that_comes_late():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for how in ([], ["-d"]):
        with subprocess.Popen([MXLOAD, "--json", "-C", "100", "-m", "10", "-s", "2", *how,
                               f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True) as process:
            time.sleep(0.3)
            with sink("--workers", "1", address=f"127.0.0.1:{port}") as receiver:
                result = json.loads(process.communicate(timeout=60)[0])
                equal(receiver.stop()["messages"], 10, "received")
        equal(process.returncode, 0, "status")
        equal(result["messages"]["accepted"], 10, "accepted")


# ---- servers of our own

def polite(self, peer, lines, before_final=lambda count: None):
    peer.sendall(b"220-two lines\r\n220 hello\r\n")
    for line in lines:
        verb = line[:4].upper()
        if verb == b"DATA":
            peer.sendall(b"354 go\r\n")
            text = b""
            for part in iter(lines.readline, b".\r\n"):
                assert part, "cut"
                text += part[1:] if part[:1] == b"." else part
            self.messages.append(text)
            before_final(len(self.messages))
        if verb == b"QUIT":
            peer.sendall(b"221 bye\r\n")
            return
        peer.sendall(b"250 done %d\r\n" % len(self.messages))


def check_proof(messages, name, count):
    seqs = set()
    for text in messages:
        head, body = text.split(b"\r\n\r\n", 1)
        fields = dict(re.findall(r"^(X-Mxload-\w+): (.*?)\r?$", head.decode(), re.M))
        equal(fields["X-Mxload-Run"], name, "run")
        covered = head.split(b"\r\n", 1)[1] + b"\r\n"
        equal(fields["X-Mxload-Hash"], f"crc32c {crc32c(body):08x} {crc32c(covered):08x}", "hash")
        seqs.add(int(fields["X-Mxload-Seq"]))
    equal(len(messages), count, "messages")
    equal(seqs, set(range(count)), "sequences")


def test_messages_prove_themselves():
    with Receiver(polite) as server:
        result = mxload("-m", 40, "-s", 4, "-l", "0-3000", "-d", server.address)
        check_proof(server.messages, result["run"], 40)
    with tempfile.TemporaryDirectory() as folder, Receiver(polite) as server:
        for i, text in enumerate((b"A: b\n\n.dot\n..\n\nend\n", b"A: b\n\n\r\nx\ry")):
            with open(f"{folder}/{i}.eml", "wb") as file:
                file.write(text)
        result = mxload("-m", 10, "-s", 2, "--eml", folder, server.address)
        check_proof(server.messages, result["run"], 10)
        bodies = {text.split(b"\r\n\r\n", 1)[1] for text in server.messages}
        equal(bodies, {b".dot\r\n..\r\n\r\nend\r\n", b"\r\nx\r\ny\r\n"}, "bodies")


def test_a_reply_cut_everywhere():
    def slowly(_, peer, lines):
        def say(text):
            for octet in text:
                peer.sendall(bytes((octet,)))
        say(b"220 x\r\n")
        for line in lines:
            if line[:4] == b"DATA":
                say(b"354 go\r\n")
                for _ in iter(lines.readline, b".\r\n"):
                    pass
            say(b"250-a\r\n250 b\r\n")
    with Receiver(slowly) as server:
        equal(mxload("-m", 3, "-d", server.address)["messages"]["accepted"], 3, "accepted")


def test_nonsense_instead_of_replies():
    for text in (b"hello\r\n", b"250ok\r\n", b"x" * 70000, b"220 a\r\n250 b\r\n250 c\r\n"):
        def nonsense(_, peer, lines, text=text):
            peer.sendall(text)
            lines.read()
        with Receiver(nonsense) as server:
            result = mxload("-m", 2, "--timeout", 5, server.address, status=1)
            equal(result["messages"]["accepted"], 0, text[:10])


def test_a_server_that_says_nothing():
    with Receiver(lambda _, peer, lines: lines.read()) as server:
        result = mxload("-m", 2, "-s", 2, "--timeout", 0.3, server.address, status=1)
        equal(result["messages"]["unknown"], 2, "unknown")
        assert "no reply in time" in result["ended_early"], result


def test_a_server_that_ignores_quit():
    def ignorant(_, peer, lines):
        peer.sendall(b"220 x\r\n")
        for line in lines:
            if line[:4] == b"DATA":
                peer.sendall(b"354 go\r\n")
                for _ in iter(lines.readline, b".\r\n"):
                    pass
            if line[:4] != b"QUIT":
                peer.sendall(b"250 b\r\n")
    with Receiver(ignorant) as server:
        equal(mxload("-m", 2, "-s", 2, server.address)["messages"]["accepted"], 2, "accepted")


def test_only_the_accepted_recipients_count():
    def choosy(_, peer, lines):
        peer.sendall(b"220 x\r\n")
        for line in lines:
            if line[:4] == b"DATA":
                peer.sendall(b"354 go\r\n")
                for _ in iter(lines.readline, b".\r\n"):
                    pass
            peer.sendall(b"550 no\r\n" if line.startswith(b"RCPT TO:<2") else b"250 b\r\n")
    for how in ([], ["--pipeline"]):
        with Receiver(choosy) as server:
            result = mxload("-m", 5, "-d", "-r", 3, "-A", *how, server.address, status=1)
            equal(result["messages"]["accepted"], 5, f"messages {how}")
            equal(result["recipients"], {"accepted": 10, "refused": 5}, f"recipients {how}")


# ---- time, without asserting that anything is fast

def test_rate():
    """Nothing is sent before it is due, and everything is sent."""
    with sink("--workers", "1") as server:
        for workers in (1, 2):
            result = mxload("-m", 100, "-s", 4, "-d", "--rate", "200/s", "--workers", workers,
                            server.address)
            equal(result["messages"]["accepted"], 100, "accepted")
            # each worker has a clock of its own; the first one sends message 98
            assert result["elapsed_s"] >= (100 - workers) / 200, result["elapsed_s"]
        result = mxload("-s", 4, "--rate", 50, "--duration", 1, server.address)
        assert 1 <= result["messages"]["accepted"] <= 50, result
        result = mxload("-m", 100, "-s", 4, "-d", "--rate", "200", "--ramp", 1, server.address)
        assert result["elapsed_s"] >= 0.98, "half of them in the ramp"
        server.stop()


def test_latency_counts_from_when_it_was_due():
    """A second without a reply is felt by all that were due in it, not by the one that waited."""
    def stall(count):
        if count == 20:
            time.sleep(1)
    with Receiver(lambda *args: polite(*args, before_final=stall)) as server:
        result = mxload("-m", 140, "-d", "--rate", 100, server.address)
        equal(result["phases"]["message"]["count"], 140, "messages")
        assert result["phases"]["message"]["p90_ns"] >= 500_000_000, result["phases"]


def test_duration_and_interrupt():
    with sink("--workers", "1") as server:
        assert mxload("-s", 2, "-d", "--duration", "0.3", server.address)["messages"]["accepted"] > 0
        with tempfile.NamedTemporaryFile() as file:
            with subprocess.Popen([MXLOAD, "-s", "2", "-d", "--duration", "600", "--ledger", file.name,
                                   server.address], stdout=subprocess.PIPE, text=True) as process:
                eventually(lambda: os.path.getsize(file.name) > 0, "messages")
                process.send_signal(signal.SIGINT)
                output = process.communicate(timeout=SLOW)[0]
                equal(process.returncode, 1, output)
            assert "interrupted" in output and "verdict:" in output, output
            accepted = int(re.search(r"messages +(\d+) accepted", output)[1])
            equal(sum(fate == "250" for fate, _ in ledger(file.name).values()), accepted, "ledger")
        server.stop()


def interrupted(*arguments, wait=0.5, number=signal.SIGINT):
    """The JSON of a run that would last for ever; it ends by itself after the signal."""
    with subprocess.Popen([MXLOAD, "--json", *arguments], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as process:
        time.sleep(wait)
        equal(process.poll(), None, "it runs")
        process.send_signal(number)
        result = json.loads(process.communicate(timeout=SLOW)[0])
    equal(process.returncode, 1, "status")
    equal(result["interrupted"], True, "interrupted")
    started, *ends = (result["messages"][name] for name in
                      ("started", "accepted", "refused_4xx", "refused_5xx", "unknown"))
    equal(started, sum(ends), "each message has an end")
    return result


def test_interrupted_whatever_it_does():
    """Ctrl-C prints what was measured so far, however the server behaves."""
    def silent(_, peer, lines):
        lines.read()

    def stuck(_, peer, lines):
        peer.sendall(b"220 x\r\n")
        for line in lines:
            peer.sendall(b"354 go\r\n" if line[:4] == b"DATA" else b"250 ok\r\n")
            if line[:4] == b"DATA":
                time.sleep(2 * SLOW)  # the message is not read
    for number in (signal.SIGINT, signal.SIGTERM):
        with Receiver(silent) as server:
            equal(interrupted("-s", "3", "-m", "9", server.address, number=number)
                  ["messages"]["unknown"], 3, "no banner")
    with Receiver(stuck) as server:
        result = interrupted("-s", "2", "-m", "9", "-l", "50M", "-d", server.address, wait=1)
        equal(result["messages"]["unknown"], 2, "a body that is not read")
        assert result["phases"]["data"]["count"] == 2, result
    with sink("--workers", "1") as server:
        endless = ["--duration", "600", "-d", "-s", "4", server.address]
        for how in (["--rate", "50"], ["--rate", "50", "--spin"], ["-w", "100"], ["--ramp", "300"],
                    ["-c"], ["--workers", "2", "--pipeline"]):
            assert interrupted(*how, *endless)["messages"]["accepted"] > 0, how
        server.stop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    equal(interrupted("-C", "1000", f"127.0.0.1:{port}")["connections"]["opened"], 0, "nobody")


def test_everything_ends_by_itself():
    """No server can keep it for longer than the options say."""
    with Receiver(lambda _, peer, lines: lines.read()) as server:
        result = mxload("-m", 100000, "-s", 5, "-A", "--timeout", 0.2, "--duration", 1,
                        server.address, status=1)
        assert result["messages"]["started"] < 100, result
        result = mxload("-A", "-m", 4, "-s", 2, "--timeout", 0.1, "--rate", 10, server.address,
                        status=1)
        equal(result["messages"]["unknown"], 4, "rate")

    def slow_octets(_, peer, lines):
        for octet in itertools.cycle(b"2"):
            peer.sendall(bytes((octet,)))
            time.sleep(0.05)
    with Receiver(slow_octets) as server:
        result = mxload("-m", 1, "--timeout", 0.5, server.address, status=1)
        assert "no reply in time" in result["ended_early"], result


def test_usage():
    for arguments in ([], ["-q", "x:25"], ["-s"], ["-s", "0", "x:25"], ["-l", "2-1", "127.0.0.1"],
                      ["127.0.0.1:0"], ["127.0.0.1:99999"], ["host.example:25"], ["unix:/tmp/x"],
                      ["--tls", "--starttls", "127.0.0.1"], ["--rate", "no", "127.0.0.1"], ["-6", "127.0.0.1"],
                      ["[::1:25"], ["-f", "a\r\nb", "127.0.0.1"], ["--json=1", "127.0.0.1"]):
        said = mxload(*arguments, status=2)
        assert said.startswith("mxload: "), said
    result = subprocess.run([MXLOAD, "--help"], capture_output=True, text=True, timeout=SLOW,
                            check=True)
    assert "usage: mxload" in result.stdout and not result.stderr, result


def test_ways_to_write_the_server():
    with sink("--workers", "1") as server:
        for host in ("127.0.0.1", "inet:127.0.0.1", "localhost", "[127.0.0.1]", "inet:[127.0.0.1]"):
            mxload("-4", f"{host}:{server.port}")
        server.stop()


run(globals())
