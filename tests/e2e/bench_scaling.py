"""bench/scaling on a few small points: what it measures and writes, and how it judges curves."""
import json
import os
import signal
import subprocess
import sys
import tempfile

import lib_bench
from lib_bench import bench, cgroups, descendants, fails
from lib_mxring import SLOW, SOURCE, equal, eventually, run

from mxbench import scaling_page


def scaling(folder, *arguments):
    return bench("scaling", "--build", lib_bench.BUILD, "--scratch", folder, "--out",
                 f"{folder}/out", "--seconds", "0.05", *arguments)


def result_of(folder):
    path, = [name for name in os.listdir(f"{folder}/out") if name.endswith(".json")]
    with open(f"{folder}/out/{path}", encoding="utf-8") as file:
        return json.load(file)


def test_a_small_run():
    with tempfile.TemporaryDirectory() as folder:
        done = scaling(folder, "--rounds", 2, "--most", 100, "--workers", "1,2", "--axes",
                       "connections,recipients")
        fails(done, 0)
        result = result_of(folder)
        wanted = {(axis, x, workers, number) for number in (0, 1) for workers in (1, 2)
                  for axis in ("connections", "recipients") for x in (1, 10, 100)
                  if axis != "connections" or x >= workers}
        equal({(row["axis"], row["x"], row["workers"], row["round"]) for row in result["runs"]},
              wanted, "points")
        equal((len(result["runs"]), result["failures"]), (len(wanted), []), "runs")
        for row in result["runs"]:
            assert row["us"] > 0 and row["floor_us"] > 0 and row["messages"] > 0, row
        for text in ("connections, 2 workers: ", "recipients, 1 worker: ", "times the floor"):
            assert text in done.stdout, done.stdout
        equal(os.listdir(folder), ["out"], "the scratch folder")
        equal(cgroups(), set(), "cgroups")
        path, = [name for name in os.listdir(f"{folder}/out") if name.endswith(".html")]
        os.unlink(f"{folder}/out/{path}")
        again = bench("scaling", "--report", f"{folder}/out/{path.replace('.html', '.json')}")
        equal((again.returncode, again.stdout), (0, done.stdout), "the table, again")
        assert os.path.exists(f"{folder}/out/{path}")


def test_an_interrupted_run_writes_what_it_has():
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, f"{SOURCE}/bench/scaling", "--build", lib_bench.BUILD, "--scratch",
             folder, "--out", f"{folder}/out", "--seconds", "0.1"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def second_point():
            pids = descendants(process.pid)
            for pid in pids:
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as file:
                        if b"\0-s\x0010\0" in file.read():
                            return pids
                except OSError:
                    pass  # it has ended
            return None

        pids = eventually(second_point, "the second point", 3 * SLOW)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=3 * SLOW)
        equal(process.returncode, 130, error)
        equal([(row["axis"], row["x"]) for row in result_of(folder)["runs"]],
              [("connections", 1)], "runs")
        assert "interrupted: ended by SIGINT" in out, out
        for pid in pids:
            assert not os.path.exists(f"/proc/{pid}"), pid


def test_bad_arguments():
    with tempfile.TemporaryDirectory() as folder:
        fails(scaling(folder, "--axes", "weather"), 2, "--axes are connections, recipients, size")
        fails(scaling(folder, "--workers", "many"), 2, "--workers is a list of numbers")
        fails(scaling(folder, "--workers", "0"), 2, "--workers are 1 or more")
        fails(bench("scaling", "--build", folder), 1, "there is no ", "/mxring")


def curve(axis, costs, floors=None):
    xs = [10 ** i for i in range(len(costs))]
    return {"runs": [{"axis": axis, "x": x, "workers": 1, "us": cost, "floor_us": floor, "rate": 1}
                     for x, cost, floor in zip(xs, costs, floors or [1] * len(costs))]}


def verdict(*arguments):
    (_, _, is_good, words), = scaling_page.verdicts(curve(*arguments))
    return is_good, words


def test_verdicts():
    flat = (50, 10, 11, 12)
    for axis, costs, floors, is_good, words in (
            ("connections", flat, None, True, "flat: grows by at most 20 %"),
            ("connections", (10, 11, 13, 10), None, False, "NOT flat: grows by at most 30 %"),
            ("connections", (10, 11, 20, 21), (9, 10, 18, 20), True, "as the floor: grows"),
            ("recipients", (12, 30, 210, 2010), None, True, "linear: 10.0 µs + 2.00 µs x"),
            ("recipients", (12, 30, 210, 4000), None, False, "NOT linear"),
            ("size", (10, 20, 200, 8000), (9, 18, 190, 7900), True, "as the floor"),
            ("size", (10, 20), None, False, "too few points"),
    ):
        got, said = verdict(axis, costs, floors)
        equal(got, is_good, f"{axis} {costs}: {said}")
        assert words in said, (words, said)


run(globals())
