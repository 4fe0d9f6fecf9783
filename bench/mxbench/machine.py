"""What a figure must be quoted with."""
import datetime
import os
import re

from .account import new_account


def machine():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        model = re.search(r"^model name\s*:\s*(.+)$", file.read(), re.MULTILINE)
    return {"cpu": model[1] if model else os.uname().machine,
            "cpus": len(os.sched_getaffinity(0)),
            "kernel": os.uname().release,
            "date": datetime.date.today().isoformat()}


def filesystem(path):
    """The type of the file system that holds this path."""
    path, best, kind = os.path.realpath(path), "", "unknown"
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            left, right = line.split(" - ", 1)
            point = left.split()[4].encode().decode("unicode_escape")
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):
                best, kind = point, right.split()[0]
    return kind


def two_cpus():
    """({the servers' CPU}, {the load's}), or None."""
    cpus = sorted(os.sched_getaffinity(0))
    return ({cpus[0]}, {cpus[1]}) if len(cpus) > 1 else None


def describe(scratch):
    """The machine, the file system of the servers' files, and how CPU time is counted."""
    account = new_account()
    account.end([])
    return {**machine(), "filesystem": filesystem(scratch), "accounting": account.kind}
