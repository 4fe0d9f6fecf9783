"""Helpers of the tests of bench/: the programs, and what a run leaves behind."""
import glob
import os
import subprocess
import sys

from lib_mxring import MXRING, SOURCE, skip

BUILD = os.path.dirname(os.path.realpath(MXRING))
FLOOR = f"{BUILD}/bench-floor --port {{port}}"
SINK = f"{MXRING} sink --workers 1 127.0.0.1:{{port}}"

if len(os.sched_getaffinity(0)) < 2:
    skip("the server and the load need a CPU each")
sys.path.insert(0, f"{SOURCE}/bench")
sys.dont_write_bytecode = True


def bench(name, *arguments, seconds=240, **how):
    """Run bench/NAME to its end."""
    return subprocess.run([sys.executable, f"{SOURCE}/bench/{name}", *map(str, arguments)],
                          capture_output=True, text=True, timeout=seconds, check=False,
                          stdin=subprocess.DEVNULL, **how)


def fails(done, status, *texts):
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    for text in texts:
        assert text in done.stderr, (text, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr


def descendants(pid):
    from mxbench.account import descendants as all_below
    return all_below(pid)[1:]


def cgroups():
    """The cgroups that a bench has made."""
    from mxbench.account import cgroup_folder
    above = cgroup_folder()
    return set(glob.glob(f"{above}/mxbench-*")) if above else set()
