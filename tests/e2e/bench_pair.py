"""bench/pair with bench-floor as A and mxring sink as B: a short run says all that a figure needs,
and what goes wrong is told. No times are asserted."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

from lib_mxring import MXRING, SLOW, SOURCE, Client, equal, eventually, run, skip, tool

SMTP_SOURCE = tool("smtp-source")
PAIR = f"{SOURCE}/bench/pair"
BUILD = os.path.dirname(os.path.realpath(MXRING))
FLOOR = f"{BUILD}/bench-floor --port {{port}}"
SINK = f"{MXRING} sink --workers 1 127.0.0.1:{{port}}"
MESSAGES = 10000
LOAD = f"{SMTP_SOURCE} -s 32 -l 1024 -m {MESSAGES} -d 127.0.0.1:{{port}}"

if len(os.sched_getaffinity(0)) < 2:
    skip("the server and the load need a CPU each")


def pair(*more, a=FLOOR, b=SINK, load=LOAD):
    return subprocess.run(
        [sys.executable, PAIR, "--a", a, "--b", b, "--load", load, "--messages", str(MESSAGES),
         "--rounds", "1", *more],
        capture_output=True, text=True, timeout=240, check=False)


def fails(done, status, *texts):
    equal(done.returncode, status, done.stderr)
    equal(done.stdout, "", "stdout")
    for text in texts:
        assert text in done.stderr, (text, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr


def test_json_has_all_fields():
    done = pair("--json", "--settle", "0.05")
    equal(done.returncode, 0, done.stderr)
    result = json.loads(done.stdout)
    for name in ("ratio_b_to_a", "a_us", "b_us", "a_per_s", "b_per_s"):
        assert result[name] > 0, (name, result)
    equal(result["rounds"], 1, "rounds")
    low, high = result["range"]
    assert 0 < low <= result["ratio_b_to_a"] <= high, result
    assert result["unsteady"] in (0, 1), result
    equal(set(result["machine"]), {"cpu", "cpus", "kernel", "date"}, "machine")
    equal(result["machine"]["kernel"], os.uname().release, "kernel")


def test_text_names_the_machine():
    done = pair(b=FLOOR)
    equal(done.returncode, 0, done.stderr)
    assert done.stdout.startswith("B/A x"), done.stdout
    assert f"Linux {os.uname().release}" in done.stdout, done.stdout


def test_a_server_that_does_not_come_up():
    fails(pair(a=f"{BUILD}/bench-floor --port {{port}} --threads 0"), 1,
          "ended with 64", "usage: bench-floor")
    fails(pair(a="/nonexistent/server {port}"), 1, "cannot run /nonexistent/server")


def test_a_load_that_fails():
    fails(pair(load="echo {port} is bad >&2; exit 3"), 1, "load failed with 3", "is bad")


@contextlib.contextmanager
def floor():
    """A floor of our own: its port; then a dictionary with what it says at its end."""
    totals = {}
    with subprocess.Popen(FLOOR.replace("{port}", "0").split(), stderr=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        try:
            port = process.stderr.readline().strip().rsplit(":", 1)[1]
            yield int(port), totals
            assert process.poll() is None, "the floor has ended"
        finally:
            process.send_signal(signal.SIGTERM)
        totals.update(json.loads(process.stdout.read()))
    equal(process.returncode, 0, "exit status")


def test_a_port_that_is_taken():
    with floor() as (port, totals):
        fails(pair("--port", str(port)), 1, f"127.0.0.1:{port}: Address already in use")
    equal(set(totals), {"messages", "connections", "cpu_us_per_message"}, "totals")


def test_the_floor_finds_the_end_of_data():
    content = b"a.b\r\n..\r\n.c\r\n\n.\n\r.\r\n.\n.\r\r\n\r\n.\r\r\nx.\r\n"
    whole = content + b".\r\nNOOP\r\n"
    messages = 0
    with floor() as (port, totals), Client(("127.0.0.1", port)) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cuts in [(cut, cut + more) for more in (0, 1, 2) for cut in range(len(whole) - 2)]:
            client.command("MAIL FROM:<>", "250 2.1.0")
            client.command("DATA", "354")
            for begin, end in zip((0, *cuts), (*cuts, len(whole))):
                client.send(whole[begin:end])
                time.sleep(0.001)
            client.expect("250 2.0.0", f"end of data, cut at {cuts}")
            client.expect("250 2.1.0", f"NOOP, cut at {cuts}")
            messages += 1
        client.command("DATA", "354")
        client.send(b".\r\nQUIT\r\n")
        client.expect("250 2.0.0", "no content")
        client.expect("221", "QUIT")
        client.expect_end()
    equal((totals["messages"], totals["connections"]), (messages + 1, 1), "totals")


def test_bad_arguments():
    fails(pair("--rounds", "0"), 2, "--rounds")
    fails(pair(load="true"), 2, "{port}")


def test_nothing_is_left_when_it_is_ended():
    process = subprocess.Popen(
        [sys.executable, PAIR, "--a", FLOOR, "--b", SINK, "--load", "echo {port} >&2; sleep 50",
         "--messages", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = f"/proc/{process.pid}/task/{process.pid}/children"

    def both():
        with open(children, encoding="ascii") as file:
            pids = file.read().split()
        return pids if len(pids) == 2 else None

    pids = eventually(both, "server and load run")
    process.send_signal(signal.SIGTERM)
    equal(process.wait(SLOW), 143, "exit status")
    for pid in pids:
        assert not os.path.exists(f"/proc/{pid}"), pid


run(globals())
