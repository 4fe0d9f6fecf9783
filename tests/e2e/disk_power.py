"""The power fails: a real file system on a disk that has written down every write and every flush.

mxring takes mail while the recorder notes what reaches the disk and when; now and then a write fails, so
that some mail is refused, and mail is exported and acknowledged, so that segments are used again. Then,
for many moments, the disk is made as a power failure may have left it, mounted, and compared with what
clients had been told by then: nothing that was accepted may be missing, changed or there twice, nothing
that was refused may be there. A disk that lies, and a spool that does not sync, must be found out.

MX_POWER_CUTS: moments for each file system (6); MX_POWER_SEED (1); MX_POWER_FS: file systems (all three).
"""
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time

from lib_disk import Disk, Power, can_mount, folder, in_namespace_of_its_own, unmount
from lib_mxring import MXRING, Client, equal, mxring, run, serve, write_config

MXLOAD = os.environ.get("MXLOAD") or os.path.join(os.path.dirname(MXRING), "mxload")
CUTS = int(os.environ.get("MX_POWER_CUTS", "6"))
SEED = int(os.environ.get("MX_POWER_SEED", "1"))
KINDS = os.environ.get("MX_POWER_FS", "ext4 xfs btrfs").split()
SECONDS = 5


def gateway(spool, more=""):
    return write_config(f"""\
engine: {{workers: 2}}
domains: [example.com]
spool: {{directory: "{spool}", segmentSize: 4M, reserve: 0, {more}}}
smtpservers:
  - {{bind: "127.0.0.1:0", helloName: mx.example, handlerchain: [], verifyIdentity: disabled}}
lmtpservers:
  - {{bind: "127.0.0.1:0", helloName: mx.example, handlerchain: []}}
""")


def load(address, ledger, *arguments):
    return subprocess.Popen(
        [MXLOAD, "--pipeline", "-A", "-d", "-t", "bob@example.com", "--timeout", "20", "--duration",
         str(SECONDS), "--ledger", ledger, "--ledger-times", *arguments, address],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Recording:
    """A few seconds of a server's life: disk, ledger and exports, with their times."""

    def __init__(self, root, kind, more="", faults=0):
        self.root, self.exports = root, []
        rng = random.Random(SEED)
        with Disk(root, kind) as self.disk:
            self.spool = os.path.join(self.disk.path, "spool")
            with serve(gateway(self.spool, more), listeners=2) as server:
                self.begin_ns = time.monotonic_ns()
                smtp, lmtp = (f"{host}:{port}" for host, port in server.addresses)
                loads = [load(smtp, f"{root}/a", "-s", "16", "-l", "1-9000", "--rate", "900/s"),
                         load(lmtp, f"{root}/b", "-L", "-s", "4", "-l", "1-200000", "--rate", "40/s")]
                breaker = threading.Thread(target=self._break, args=(rng, faults, loads[0]))
                breaker.start()
                while loads[0].poll() is None:
                    time.sleep(rng.uniform(0.3, 0.8))
                    self._export()
                for client in loads:
                    client.wait(60)
                breaker.join()
                self.end_ns = time.monotonic_ns()
                self.has_refused = server.logged("spool_error")
                server.stop()
            self.counts = self.disk.counts()
        self.lines = []
        for name in "ab":
            with open(f"{root}/{name}", encoding="ascii") as file:
                self.lines += [re.fullmatch(r"(\w+ \d+) (\w+) @(\d+) ?(.*)\n", line).groups() for line in file]

    def _break(self, rng, faults, client):
        """One batch fails at a time, half of it written."""
        for _ in range(faults):
            time.sleep(SECONDS * 0.8 / faults)
            if client.poll() is None:
                self.disk.tell(f"fail write 1 {rng.randrange(40)} {rng.choice([0, 50, 100])} MXB1")

    def _export(self):
        begin, mail = time.monotonic_ns(), f"{self.root}/mail.{len(self.exports)}"
        result = mxring("spool", "export", "--ack", "--raw", "--maildir", mail, self.spool, seconds=60)
        equal(result.returncode, 0, result.stderr)
        self.exports.append((begin, mail))

    def ledger(self, when, path):
        """What clients knew by then; (accepted, refused)."""
        fates = []
        with open(path, "w", encoding="ascii") as file:
            for name, fate, at, text in self.lines:
                fate = fate if int(at) < when else "unknown"
                fates.append(fate)
                file.write(f"{name} {fate} {text}\n")
        return fates.count("250"), sum(fate[0] in "45" for fate in fates)

    def moments(self, count, power, rng, kinds):
        """Some just behind an answer, some just behind a flush, some anywhere: the first kinds of them."""
        answers = [int(at) for _, fate, at, _ in self.lines if fate == "250"]
        flushes = [at for at in power.flushes() if at > self.begin_ns]
        picks = [lambda: rng.choice(answers) + 1, lambda: rng.choice(flushes) + 1,
                 lambda: rng.randrange(self.begin_ns, self.end_ns)]
        return sorted(picks[i % kinds]() for i in range(count))


def verify(ledger, folders, *options):
    """What is wrong, as mxload --verify counts it."""
    result = subprocess.run([MXLOAD, "--verify", "--json", "--others", *options, ledger, *folders],
                            capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode in (0, 1), result.stderr
    return json.loads(result.stdout)


def look(recording, when, spool, mail):
    """Compare a spool that was left behind with what was known then. A list of what is wrong."""
    ledger, wrong = f"{recording.root}/ledger", []
    result = mxring("spool", "verify", spool, seconds=60)
    if result.returncode != 0:
        wrong.append(f"verify: {result.stdout[-300:]}{result.stderr}")
    result = mxring("spool", "export", "--raw", "--maildir", mail, spool, seconds=60)
    if result.returncode != 0:
        wrong.append(f"export: {result.stderr}")
    recording.ledger(when, ledger)
    before = [path for begin, path in recording.exports if begin < when]
    os.makedirs(mail, exist_ok=True)
    # an acknowledgement of an export may not have reached the disk: then it is there again
    for found, words in ((verify(ledger, [mail, *before], "--copies", "1-2"),
                          ("lost", "changed", "stored_refused", "unlisted")),
                         (verify(ledger, [mail], "--copies", "0-1"), ("doubled",))):
        wrong += [f"{found[word]} {word}" for word in words if found[word]]
    return wrong


def serve_again(spool):
    """A server recovers it, loses nothing, and takes mail."""
    def listed():
        return sorted(line for line in mxring("spool", "ls", spool, seconds=60).stdout.splitlines())

    before = listed()
    with serve(gateway(spool), listeners=2) as server, Client(server.addresses[0]) as client:
        client.message()
        client.close()
        server.stop()
    after = listed()
    wrong = [] if set(before) <= set(after) and len(after) == len(before) + 1 else ["not recovered"]
    result = mxring("spool", "verify", spool, seconds=60)
    return wrong + ([] if result.returncode == 0 else [f"recovered: {result.stdout[-300:]}"])


def cut_all(recording, count, lie=0, kinds=3):
    """Violations, cuts whose file system could not be mounted, accepted and refused by then, in all."""
    rng = random.Random(SEED + lie)
    power = Power(recording.disk, recording.root, SEED, lie)
    violations, unmounted, accepted, refused = [], 0, 0, 0
    mount, mail = f"{recording.root}/mount", f"{recording.root}/found"
    for when in recording.moments(count, power, rng, kinds):
        how = power.cut(when)
        known = recording.ledger(when, f"{recording.root}/ledger")
        accepted, refused = accepted + known[0], refused + known[1]
        if not can_mount(mount, recording.disk.kind, power.image):
            unmounted += 1
            continue
        try:
            spool = os.path.join(mount, "spool")
            wrong = look(recording, when, spool, mail)
            if not wrong and not lie:
                wrong = serve_again(spool)
        finally:
            unmount(mount)
            shutil.rmtree(mail, ignore_errors=True)
        if wrong:
            violations.append(f"at {when - recording.begin_ns} ns, {how}: {'; '.join(wrong)}")
    power.close()
    return violations, unmounted, accepted, refused


def check(kind, more):
    with folder() as root:
        recording = Recording(root, kind, more, faults=4)
        assert recording.counts["failed_writes"] > 0, recording.counts
        violations, unmounted, accepted, refused = cut_all(recording, CUTS)
        print(f"{kind}, {more}: {CUTS} cuts, {recording.counts['writes']} writes, {recording.counts['flushes']} "
              f"flushes, {len(recording.lines)} messages, {len(recording.exports)} exports; accepted before "
              f"the cuts {accepted}, refused {refused}; {len(violations)} violations, {unmounted} file systems "
              "not mountable", flush=True)
        equal(violations, [])
        equal(unmounted, 0, "file systems that could not be mounted")


def check_control(kind, lie, more):
    """It must be found out, just behind answers; how often it was."""
    count = max(CUTS, 12)
    with folder() as root:
        recording = Recording(root, kind, more)
        violations, unmounted, _, _ = cut_all(recording, count, lie, kinds=1)
        print(f"{kind}, control ({more or f'the last {lie} flushes are lost'}): {count} cuts, "
              f"{len(violations)} found out, {unmounted} not mountable", flush=True)
        assert any("lost" in violation for violation in violations), violations


def test_power_fails():
    for kind in KINDS:
        for more in ("syncMode: dsync", "syncMode: fdatasync"):
            check(kind, more)


def test_a_disk_that_lies_is_found_out():
    check_control(KINDS[0], 20, "")


def test_a_spool_that_does_not_sync_is_found_out():
    check_control(KINDS[0], 0, "durability: write")


if __name__ == "__main__":
    in_namespace_of_its_own()
    run(globals())
