"""bench/reload and bench-lookups, small: what they measure and how they judge."""
import json
import os
import re
import subprocess
import tempfile

import lib_bench
from lib_bench import bench
from lib_mxring import equal, run

os.environ["MX_BUILD"] = lib_bench.BUILD
SMALL = ("--seconds", "0.5", "--rate", "200", "--sessions", "10", "--users", "50", "--limit", "1000")


def test_pairs():
    with tempfile.TemporaryDirectory() as folder:
        for more in ((), ("--connect", "--spool", f"{folder}/spool")):
            done = bench("reload", "--pairs", 2, "--reloads", 3, "--json", f"{folder}/result.json", *SMALL, *more)
            equal(done.returncode, 0, done.stdout + done.stderr)
            with open(f"{folder}/result.json", encoding="ascii") as file:
                result = json.load(file)
            summary = result["summary"]
            equal((summary["reloads"], summary["failed"], len(result["pairs"])), (6, 0, 2), done.stdout)
            assert summary["accepted"] >= 4 * 50, summary
            ratios = sorted(pair["with"]["p99_us"] / pair["without"]["p99_us"] for pair in result["pairs"])
            equal([summary["p99_ratio"][key] for key in ("low", "high")], ratios)


def test_too_slow_is_said():
    done = bench("reload", "--pairs", 1, "--reloads", 1, *SMALL[:-1], "0.0001")
    equal(done.returncode, 1, done.stdout + done.stderr)


def test_lookups():
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([f"{lib_bench.BUILD}/bench-lookups", "1000", folder], capture_output=True, text=True,
                              timeout=200, check=False)
        equal((done.returncode, os.listdir(folder)), (0, []), done.stderr)
        equal(len(re.findall(r" +\d+ ns$", done.stdout, re.M)), 6, done.stdout)


run(globals())
