"""What the processes of a server use: CPU time, also of those that have ended, and memory.

A cgroup (version 2) of its own for each server counts every process in microseconds, whoever
forked it. Where we may not make one (not root, no cgroup2), the kernel's counts in /proc of the
server and all its descendants are added up, with those of children that were waited for; they go
in steps of 10 ms, and miss a process that ended after its parent did.
"""
import contextlib
import glob
import itertools
import os
import re
import signal
import time

TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
END_SECONDS = 5
numbers = itertools.count()


def descendants(pid):
    """pid and all below it."""
    children = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            children += file.read().split()
    return [pid] + [below for child in children for below in descendants(int(child))]


def memory_kib(pid):
    """(KiB, "pss" or "rss") of a process: its share of what it uses together with others, if we
    may know that; (0, "") when it has ended."""
    for path, field, name in (("smaps_rollup", "Pss", "pss"), ("status", "VmRSS", "rss")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/{path}", encoding="ascii",
                                                errors="replace") as file:
            match = re.search(rf"^{field}:\s+(\d+)", file.read(), re.MULTILINE)
            if match:
                return int(match[1]), name
    return 0, ""


def is_killed(pid):
    """Kill it; False when it has been gone before."""
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


class Account:
    """By /proc. leader: the pid of the server, once it is started."""

    kind = "/proc of the process tree, in steps of 10 ms"

    def __init__(self):
        self.leader = None

    def join(self):
        """Called in the process that becomes the server."""

    def pids(self):
        return descendants(self.leader) if self.leader else []

    def cpu_us(self):
        """User and system time so far; only differences mean something."""
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8",
                                                    errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
                ticks += sum(int(field) for field in fields[11:15])  # utime stime cutime cstime
        return ticks * TICK_US

    def memory(self):
        """(KiB of all processes, "pss" or "rss": the worse of what could be known)."""
        total, kinds = 0, set()
        for pid in self.pids():
            kib, kind = memory_kib(pid)
            total += kib
            kinds.add(kind)
        return total, "rss" if "rss" in kinds else "pss"

    def end(self, others):
        """The server is gone; end who is left of `others`, its processes before."""
        left = [pid for pid in others if pid != self.leader]
        self.leader = None
        end = time.monotonic() + END_SECONDS
        while left and time.monotonic() < end:
            left = [pid for pid in left if is_killed(pid)]
            time.sleep(0.02 if left else 0)


class CgroupAccount(Account):
    """By a cgroup."""

    kind = "cgroup"

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def read(self, name):
        with open(f"{self.folder}/{name}", encoding="ascii") as file:
            return file.read()

    def join(self):
        with open(f"{self.folder}/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")

    def pids(self):
        return [int(pid) for pid in self.read("cgroup.procs").split()]

    def cpu_us(self):
        return int(re.search(r"^usage_usec (\d+)", self.read("cpu.stat"), re.MULTILINE)[1])

    def end(self, others):
        end = time.monotonic() + END_SECONDS
        while True:
            for pid in self.pids():
                is_killed(pid)
            try:
                os.rmdir(self.folder)  # busy while a process has not quite gone
                return
            except OSError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.02)


def cgroup_folder():
    """Where we may make cgroups: below the one that we are in; None without cgroup2."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split() for line in file if " - cgroup2 " in line]
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        own = re.search(r"^0::(.*)$", file.read(), re.MULTILINE)
    if not mounts or own is None:
        return None
    return mounts[0][4] + own[1].rstrip("/")


def new_account():
    """An account for one server, as exact as we may have it."""
    above = cgroup_folder()
    if above is None:
        return Account()
    folder = f"{above}/mxbench-{os.getpid()}-{next(numbers)}"
    try:
        os.mkdir(folder)
    except OSError:
        return Account()
    account = CgroupAccount(folder)
    try:
        account.cpu_us()
        with open(f"{folder}/cgroup.procs", "a", encoding="ascii"):
            pass  # writable
    except (OSError, TypeError):
        os.rmdir(folder)
        return Account()
    return account
