"""Disks of their own for tests: an image under the write recorder (tests/disk/recorder.c), a loop device
and a file system; and every disk that a power failure might have left behind.

Needs root, /dev/fuse and loop devices; tests are skipped without. Mounts are seen by the test only.
"""
import os
import random
import struct
import subprocess
import sys
import tempfile

from lib_mxring import MXRING, equal, eventually, skip, tool

RECORDER = os.path.join(os.path.dirname(MXRING), "tests", "disk_recorder")
SECTOR = 512
WRITE, FLUSH = 1, 2
# size in MiB, how it is made, how it is mounted, what it takes for granted to be written at once
FILE_SYSTEMS = {
    "ext4": (160, ["-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"], "", SECTOR),
    "xfs": (320, ["-q", "-K"], "", SECTOR),
    "btrfs": (256, ["-q", "-K"], ",nodiscard", 4096),
}


def in_namespace_of_its_own():
    """Run this program again where its mounts are its own; all of them go when it ends."""
    if os.geteuid() != 0:
        skip("needs root: mounts, loop devices")
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            skip(f"{path} is not there")
    if not os.path.exists(RECORDER):
        skip(f"{RECORDER} is not built")
    if os.environ.get("MX_DISK_NAMESPACE") != str(os.getpid()):
        os.environ["MX_DISK_NAMESPACE"] = str(os.getpid())
        try:
            os.execv(tool("unshare"), ["unshare", "--mount", "--propagation", "private",
                                       sys.executable, *sys.argv])
        except OSError as error:
            skip(f"no namespace of its own: {error}")


def folder():
    """In memory where there is room: the recorder writes everything twice."""
    shm = "/dev/shm"
    is_roomy = os.path.isdir(shm) and os.statvfs(shm).f_bavail * os.statvfs(shm).f_frsize > 4 << 30
    return tempfile.TemporaryDirectory(prefix="mxring-disk-", dir=shm if is_roomy else None)


def command(*arguments, seconds=60):
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds, check=False)
    equal(result.returncode, 0, f"{' '.join(arguments)}: {result.stderr}")
    return result.stdout


def can_mount(path, kind, image, options=""):
    """Mount an image at path. False: the file system on it cannot be used."""
    os.makedirs(path, exist_ok=True)
    how = "loop" + FILE_SYSTEMS[kind][2] + (options and f",{options}")
    return subprocess.run(["mount", "-t", kind, "-o", how, image, path], capture_output=True,
                          timeout=60, check=False).returncode == 0


def unmount(path):
    """The kernel may still be closing what a server that was killed had in its ring."""
    eventually(lambda: subprocess.run(["umount", path], capture_output=True, timeout=60,
                                      check=False).returncode == 0, f"umount {path}")


class Disk:
    """A file system at self.path whose disk writes down what it is told, and fails when told to."""

    def __init__(self, root, kind="ext4", mib=None):
        self.kind = kind
        self.image, self.base, self.log = (f"{root}/{name}" for name in ("image", "base", "log"))
        self.fuse, self.path = f"{root}/fuse", f"{root}/disk"
        mkfs = tool(f"mkfs.{kind}")
        with open(self.image, "wb") as file:
            file.truncate((mib or FILE_SYSTEMS[kind][0]) << 20)
        command(mkfs, *FILE_SYSTEMS[kind][1], self.image)
        command("cp", "--sparse=always", self.image, self.base)
        os.makedirs(self.fuse)
        self.process = subprocess.Popen([RECORDER, self.image, self.log, self.fuse],
                                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if self.process.stdout.readline() != b"ready\n":
            skip("the recorder cannot mount")
        if not can_mount(self.path, kind, f"{self.fuse}/disk"):
            self.process.terminate()
            skip(f"{kind} cannot be mounted through a loop device here")
        self.is_mounted = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def tell(self, text):
        fd = os.open(f"{self.fuse}/control", os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def counts(self):
        with open(f"{self.fuse}/control", "rb", buffering=0) as file:
            return {name: int(value) for name, value in
                    (line.split() for line in file.read(4096).decode().splitlines())}

    def device(self):
        """The loop device."""
        return command("findmnt", "-no", "SOURCE", self.path).strip()

    def mount_again(self, options=""):
        """After it was unmounted by hand."""
        assert can_mount(self.path, self.kind, f"{self.fuse}/disk", options), "mounted again"

    def close(self):
        """Unmount everything; the log is whole then."""
        try:
            if self.is_mounted:
                for text in ("delay 0 0", "fail write 0 0 0", "fail flush 0 0"):
                    self.tell(text)
                unmount(self.path)
                unmount(self.fuse)
                self.is_mounted = False
            equal(self.process.wait(20), 0, "the recorder")
        finally:
            self.process.terminate()
            self.process.wait()
            self.process.stdout.close()


class Power:
    """What the disk may look like when the power fails at some time: everything that was written before
    the last flush that had ended by then, and of what came later any part.

    Times must not go back from one cut to the next. lie: so many flushes did nothing.
    """

    def __init__(self, disk, root, seed, lie=0):
        self.rng, self.lie, self.unit = random.Random(seed), lie, FILE_SYSTEMS[disk.kind][3]
        self.kept, self.image = f"{root}/kept", f"{root}/cut"
        command("cp", "--sparse=always", disk.base, self.kept)
        self.log = open(disk.log, "rb")  # pylint: disable=consider-using-with
        self.entries = []
        head = struct.Struct("<2I4Q")
        while True:
            octets = self.log.read(head.size)
            if not octets:
                break
            magic, kind, offset, length, begin, end = head.unpack(octets)
            assert magic == 0x3157584d, "not a log of the recorder"
            self.entries.append((kind, offset, length, begin, end, self.log.tell()))
            if kind == WRITE:
                self.log.seek(length, os.SEEK_CUR)
        self.done = 0  # entries that are in kept

    def flushes(self):
        return [end for kind, _, _, _, end, _ in self.entries if kind == FLUSH]

    def octets(self, entry):
        self.log.seek(entry[5])
        return self.log.read(entry[2])

    def _barrier(self, when):
        """How many entries are on the disk for certain."""
        flushes = [i for i, entry in enumerate(self.entries) if entry[0] == FLUSH and entry[4] < when]
        flushes = flushes[:len(flushes) - self.lie]
        return flushes[-1] if flushes else 0

    def _part(self, file, entry, chance):
        octets = self.octets(entry)
        for at in range(0, len(octets), self.unit):
            if self.rng.random() < chance:
                file.seek(entry[1] + at)
                file.write(octets[at:at + self.unit])

    def cut(self, when):
        """Make self.image; what was done with the writes that no flush covers."""
        barrier = max(self._barrier(when), self.done)
        with open(self.kept, "r+b") as file:
            for entry in self.entries[self.done:barrier]:
                if entry[0] == WRITE:
                    file.seek(entry[1])
                    file.write(self.octets(entry))
        self.done = barrier
        command("cp", "--sparse=always", self.kept, self.image)
        loose = [entry for entry in self.entries[barrier:] if entry[0] == WRITE and entry[3] < when]
        how = self.rng.choice(["none", "all", "sectors", "writes", "first"])
        chance = self.rng.choice([0.2, 0.5, 0.8])
        until = self.rng.randrange(len(loose)) if loose else 0
        with open(self.image, "r+b") as file:
            for i, entry in enumerate(loose):
                if how == "sectors" or (how == "first" and i == until):
                    self._part(file, entry, chance)
                elif how == "all" or (how == "first" and i < until) or \
                        (how == "writes" and self.rng.random() < chance):
                    self._part(file, entry, 1)
        return f"{how}, {len(loose)} loose"

    def close(self):
        self.log.close()
        for path in (self.kept, self.image):
            if os.path.exists(path):
                os.unlink(path)
