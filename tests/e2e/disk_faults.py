"""What can go wrong with a disk, on a real file system: no space, errors of writes and of flushes, writes of
which a part arrives, a file system that becomes read-only, a disk that is slow. Always: right replies,
nothing lost or doubled that was accepted, nothing there that was refused, bounded memory, and as soon as
the disk works again mail is taken, without a restart.

A block device answers no write in part; what the kernel says then is EIO, with a part of it on the disk.
Results that are short are tested with the ring of tests/crash.
"""
import glob
import os
import subprocess
import threading
import time

from lib_disk import Disk, command, folder, in_namespace_of_its_own, unmount
from lib_mxring import MXRING, Client, equal, eventually, mxring, run, serve, write_config

MXLOAD = os.environ.get("MXLOAD") or os.path.join(os.path.dirname(MXRING), "mxload")
# What two workers have for mail is 44 MiB, and 16 MiB for what they receive (docs/ARCHITECTURE.md);
# sanitizers need as much again for each octet of the heap.
MEMORY_KIB = 160 << 10
IS_SANITIZED = "/asan/" in MXRING or "/tsan/" in MXRING


def gateway(spool, more=""):
    return write_config(f"""\
engine: {{workers: 2}}
domains: [example.com]
spool: {{directory: "{spool}", segmentSize: 4M, reserve: 0, {more}}}
smtpservers:
  - {{bind: "127.0.0.1:0", helloName: mx.example, handlerchain: [], verifyIdentity: disabled, maxErrors: 0}}
""")


class Gateway:
    """A server with its spool on such a disk. memory_kib: the most it was seen to have."""

    def __init__(self, root, disk, more=""):
        self.root, self.disk, self.more = root, disk, more
        self.spool = os.path.join(disk.path, "spool")
        self.ledgers, self.clients = [], []
        self.memory_kib = 0
        self.is_over = threading.Event()

    def __enter__(self):
        self.server = serve(gateway(self.spool, self.more))
        self.watcher = threading.Thread(target=self._watch)
        self.watcher.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.watcher.join()
        self.server.kill()
        for client in self.clients:
            client.kill()
            client.wait()

    def _watch(self):
        while not self.is_over.wait(0.05):
            try:
                self.memory_kib = max(self.memory_kib, self.server.rss_kib())
            except (OSError, TypeError):  # it has ended
                return

    def load(self, *arguments):
        """mxload, under way."""
        self.ledgers.append(f"{self.root}/ledger.{len(self.ledgers)}")
        self.clients.append(subprocess.Popen(
            [MXLOAD, "--pipeline", "-A", "-d", "-t", "bob@example.com", "--timeout", "60", "--ledger",
             self.ledgers[-1], *arguments, self.server.address],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.clients[-1]

    def replies(self):
        """How often clients heard what, by the first words of the reply."""
        found = {}
        for path in self.ledgers:
            with open(path, encoding="ascii") as file:
                for line in file:
                    fate, text = line.rstrip("\n").split(" ", 3)[2:]
                    words = "unknown" if fate == "unknown" else " ".join(text.split()[:2])
                    found[words] = found.get(words, 0) + 1
        return found

    def takes_mail(self):
        try:
            with Client(self.server.addresses[0]) as client:
                client.message("X-Mxload-Other: 1\r\n\r\ntext\r\n")
        except (AssertionError, OSError):
            return False
        return True

    def heals(self, what):
        """Both workers, between which clients cannot choose."""
        eventually(lambda: all(self.takes_mail() for _ in range(20)), f"{what}: mail is taken again", 40)

    def takes_everything(self):
        """Segments are made one by one, so that it may take a moment until there is room for all."""
        eventually(lambda: self.load("-s", "20", "-m", "2000", "-l", "4096").wait(60) == 0, "no refusals", 40)

    def stop(self):
        self.server.stop()
        assert IS_SANITIZED or self.memory_kib < MEMORY_KIB, f"{self.memory_kib} KiB"

    def proved(self, *exports):
        """Everything is there that was accepted, once, and nothing that was refused."""
        result = mxring("spool", "verify", self.spool, seconds=60)
        equal(result.returncode, 0, result.stdout + result.stderr)
        mail = f"{self.root}/mail"
        result = mxring("spool", "export", "--raw", "--maildir", mail, self.spool, seconds=60)
        equal(result.returncode, 0, result.stderr)
        with open(f"{self.root}/ledger", "w", encoding="ascii") as file:
            for path in self.ledgers:
                with open(path, encoding="ascii") as part:
                    file.write(part.read())
        result = subprocess.run([MXLOAD, "--verify", "--others", f"{self.root}/ledger", mail, *exports],
                                capture_output=True, text=True, timeout=120, check=False)
        equal(result.returncode, 0, result.stdout + result.stderr)

    def say(self, name):
        print(f"{name}: {self.replies()}, {self.memory_kib >> 10} MiB", flush=True)


def only(replies, *words):
    """Nothing else was heard, and each of these was."""
    equal(sorted(replies), sorted(words), "replies")


def test_no_space_and_room_again():
    """Full of our own mail: 452 at MAIL; when mail has been fetched it goes on."""
    with folder() as root, Disk(root, "ext4", 64) as disk, Gateway(root, disk) as gate:
        client = gate.load("-s", "20", "-m", "20000", "-l", "4096")
        client.wait(100)
        gate.say("full")
        only(gate.replies(), "250 2.6.0", "452 4.3.1")
        assert gate.server.logged("spool_full")
        result = mxring("spool", "export", "--ack", "--raw", "--maildir", f"{root}/fetched", gate.spool,
                        seconds=60)
        equal(result.returncode, 0, result.stderr)
        gate.heals("mail was fetched")
        gate.takes_everything()
        gate.stop()
        gate.proved(f"{root}/fetched")


def test_no_space_because_of_others():
    """Somebody else fills the disk while mail comes in, and goes away again."""
    with folder() as root, Disk(root, "ext4", 96) as disk, Gateway(root, disk) as gate:
        with open(f"{disk.path}/ballast", "wb") as file:
            free = os.statvfs(disk.path).f_bfree * os.statvfs(disk.path).f_frsize
            os.posix_fallocate(file.fileno(), 0, free - (9 << 20))
        client = gate.load("-s", "20", "-m", "20000", "-l", "4096")
        client.wait(100)
        only(gate.replies(), "250 2.6.0", "452 4.3.1")
        os.unlink(f"{disk.path}/ballast")
        gate.heals("the ballast is gone")
        gate.takes_everything()
        gate.say("others")
        gate.stop()
        gate.proved()


def check_errors(sync, *faults):
    """Single errors under load: what was on its way is refused, the rest goes on."""
    with folder() as root, Disk(root) as disk, Gateway(root, disk, sync) as gate:
        client = gate.load("-s", "20", "--rate", "1500/s", "--duration", "4", "-l", "1-9000")
        for number, fault in enumerate(faults):
            time.sleep(0.8)
            disk.tell(fault)
            eventually(lambda: sum(disk.counts()[f"failed_{what}"] for what in ("writes", "flushes"))
                       == number + 1, fault)  # pylint: disable=cell-var-from-loop
        equal(client.wait(60), 1, "mxload")
        only(gate.replies(), "250 2.6.0", "451 4.0.0")
        gate.heals("single errors")
        gate.say(f"{sync}, {', '.join(faults)}")
        gate.stop()
        gate.proved()


def test_write_errors():
    for sync in ("syncMode: dsync", "syncMode: fdatasync"):
        check_errors(sync, "fail write 1 5 0 MXB1", "fail write 1 3 100 MXB1")


def test_writes_of_which_a_part_arrives():
    for sync in ("syncMode: dsync", "syncMode: fdatasync"):
        check_errors(sync, "fail write 1 5 50 MXB1", "fail write 1 0 20 MXB1")


def test_flush_errors():
    for sync in ("syncMode: dsync", "syncMode: fdatasync"):
        check_errors(sync, "fail flush 1 5", "fail flush 1 0")


def test_headers_that_cannot_be_written():
    """The batch fails, and so does the header of the next segment, which is to say that it is void."""
    check_errors("syncMode: dsync", "fail write 1 5 100 MXB1", "fail write 1 0 0 MXSP")


def test_errors_that_last():
    """After three in a minute no mail is taken; when the disk works again it is."""
    with folder() as root, Disk(root) as disk, Gateway(root, disk) as gate:
        equal(gate.load("-s", "20", "-m", "1000").wait(60), 0, "mxload")
        disk.tell("fail write 1000000 0 30 MXB1")
        client = gate.load("-s", "20", "--rate", "300/s", "--duration", "13", "-l", "1-9000")
        eventually(lambda: gate.server.logged("spool_stopped"), "it stops")
        client.wait(100)
        for core in (0, 1):  # each attempt costs segments: after 5 s, after 10 s more, ...
            given_up = [line for line in gate.server.lines if f"spool_error path={core}/" in line]
            assert len(given_up) <= 8, given_up
        disk.tell("fail write 0 0 0")
        gate.heals("the disk works again")
        # unknown: when there was no segment left to make them void, connections were closed without a word
        equal(set(gate.replies()) - {"unknown"}, {"250 2.6.0", "451 4.0.0", "451 4.3.0"}, "replies")
        assert gate.server.logged("spool_resumed")
        gate.takes_everything()
        gate.say("errors that last")
        gate.stop()
        gate.proved()


def test_second_directory():
    """The other one takes over, and the first one is used again when it works."""
    with folder() as root, Disk(root) as disk, \
            Gateway(root, disk, f'secondDirectory: "{root}/second"') as gate:
        equal(gate.load("-s", "20", "-m", "500").wait(60), 0, "mxload")
        disk.tell("fail write 1000000 0 30 MXB1")
        client = gate.load("-s", "20", "--rate", "500/s", "--duration", "7", "-l", "1-9000")
        client.wait(100)
        replies = gate.replies()
        only(replies, "250 2.6.0", "451 4.0.0")
        assert replies["250 2.6.0"] > 2000, replies
        assert glob.glob(f"{root}/second/*/seg.*")
        disk.tell("fail write 0 0 0")
        eventually(lambda: gate.server.logged("spool_recovered"), "the first one is used again", 40)
        equal(gate.load("-s", "20", "-m", "500").wait(60), 0, "mxload")
        gate.say("second directory")
        gate.stop()
        gate.proved()


def test_read_only():
    """As ext4 does it when it finds itself damaged. Mounted anew, nothing is missing."""
    with folder() as root, Disk(root) as disk:
        with Gateway(root, disk) as gate:
            command("mount", "-o", "remount,errors=remount-ro", disk.path)
            equal(gate.load("-s", "20", "-m", "1000").wait(60), 0, "mxload")
            client = gate.load("-s", "20", "--rate", "500/s", "--duration", "4", "-l", "1-9000")
            time.sleep(1)
            device = os.path.basename(os.path.realpath(disk.device()))
            with open(f"/sys/fs/ext4/{device}/trigger_fs_error", "w", encoding="ascii") as file:
                file.write("1")
            client.wait(100)
            gate.say("read-only")
            assert not gate.takes_mail()
            replies = gate.replies()
            # unknown: as above
            equal(set(replies) - {"451 4.0.0", "unknown"}, {"250 2.6.0", "451 4.3.0"}, "replies")
            gate.server.signal()
            gate.server.wait()
        unmount(disk.path)
        disk.mount_again()
        with Gateway(root, disk) as again:
            assert again.takes_mail()
            again.stop()
        gate.proved()


def check_slow(write_ms, sessions, octets):
    """Clients at a disk that takes its time, for six seconds: they wait, and nothing piles up."""
    with folder() as root, Disk(root) as disk, Gateway(root, disk) as gate:
        equal(gate.load("-s", "20", "-m", "200").wait(60), 0, "mxload")
        disk.tell(f"delay {write_ms} 0")
        client = gate.load("-s", str(sessions), "-l", str(octets), "--duration", "6")
        time.sleep(6)
        disk.tell("delay 0 0")
        client.wait(100)
        only(gate.replies(), "250 2.6.0")
        gate.heals("a slow disk")
        gate.say(f"{write_ms} ms for each write")
        gate.stop()
        gate.proved()


def test_slow_disk():
    check_slow(100, 400, 50000)


def test_very_slow_disk():
    check_slow(2000, 200, 200000)


if __name__ == "__main__":
    in_namespace_of_its_own()
    run(globals())
