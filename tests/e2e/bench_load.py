"""The checks of mxload that need a server with a known fault: its verdict. bench/latency is not here:
it needs a machine of its own."""
import json
import os
import signal
import subprocess
import tempfile

import lib_mxring
from lib_mxring import SOURCE, equal, run, skip

BUILD = os.path.dirname(lib_mxring.MXRING)
if BUILD != f"{SOURCE}/build":
    skip("bench/verdict uses the release build")


def test_verdicts():
    result = subprocess.run([f"{SOURCE}/bench/verdict", "--rounds", "2"], capture_output=True,
                            text=True, timeout=200, check=False)
    if result.returncode == 77:
        print(result.stderr.strip())
        return
    equal(result.returncode, 0, result.stdout + result.stderr)
    assert "6 of 6" in result.stdout, result.stdout


def test_the_faulty_server():
    """Its faults are what it says: never early, still for as long as it was told."""
    with subprocess.Popen([f"{BUILD}/bench-faulty", "--delay-ms", "20", "--stall-at", "0.3",
                           "--stall-s", "0.5"], stdout=subprocess.PIPE, text=True) as server:
        port = server.stdout.readline().split()[1]
        load = subprocess.run([f"{BUILD}/mxload", "--json", "-s", "10", "-d", "--rate", "50", "-m",
                               "60", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True,
                              timeout=60, check=True)
        server.send_signal(signal.SIGTERM)
        totals = json.loads(server.stdout.read())
    result = json.loads(load.stdout)
    equal(totals["messages"], 60, "messages")
    equal(server.returncode, 0, "status")
    assert totals["late_ms"] >= 20, totals
    assert totals["stall_to_ns"] - totals["stall_from_ns"] >= 500_000_000, totals
    assert result["phases"]["final"]["p50_ns"] >= 20_000_000, result
    assert result["server"]["name"] == "bench-faulty" and result["server"]["processes"] == 1, result


def test_usage_of_the_faulty_server():
    for arguments in (["--what", "1"], ["--port"], ["--port", "70000"], ["--delay-ms", "-1"], ["x"]):
        equal(subprocess.run([f"{BUILD}/bench-faulty", *arguments], stderr=subprocess.DEVNULL,
                             check=False).returncode, 64, arguments)
    with tempfile.TemporaryDirectory() as folder:
        equal(subprocess.run([f"{BUILD}/bench-faulty", "--disk", folder], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, check=False).returncode, 71, "no file")


def test_a_baseline_that_is_off_fails():
    def instructions(*arguments):
        return subprocess.run([f"{SOURCE}/bench/instructions", BUILD, "--baseline", path,
                               *arguments], capture_output=True, text=True, timeout=200,
                              check=False)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/baseline"
        result = instructions()
        equal(result.returncode, 77, result.stderr)
        if "valgrind is not installed" in result.stderr:
            return
        equal(instructions("--update").returncode, 0, "update")
        with open(path, encoding="utf-8") as file:
            (key, cases), = json.load(file).items()
        case = sorted(cases)[0]
        for factor in (1.06, 0.94):
            with open(path, "w", encoding="utf-8") as file:
                json.dump({key: {**cases, case: int(cases[case] * factor)}}, file)
            result = instructions()
            equal(result.returncode, 1, result.stdout)
            assert "1 cases are not within" in result.stdout and "--update" in result.stdout, result


run(globals())
