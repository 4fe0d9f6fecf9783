"""The counters of a server: in the log at SIGUSR1 and at the end, and each of them documented."""
import fcntl
import glob
import json
import os
import re
import signal
import subprocess
import tempfile
import threading

from lib_mxring import MXRING, SLOW, SOURCE, Client, config, equal, eventually, run, serve, sink, \
    write_config


def counters(line):
    return {name: int(number) for name, number in re.findall(r" (\w+)=(\d+)\b", line)}


def lines_of(server, event):
    return [line for line in server.lines if f"event={event} " in line]


def totals(server, number=0):
    """The counters of event=totals, when there is one more than `number`."""
    return counters(eventually(lambda: lines_of(server, "totals")[number:], "event=totals")[0])


def test_at_a_signal():
    with serve(config(more="log: {level: error}")) as server:
        with Client(server.addresses[0]) as client:
            client.message()
            client.command("FOO", "500")
            client.command("QUIT", "221")
        server.signal(signal.SIGUSR1)
        found = totals(server)
        wanted = {"messages": 1, "recipients": 1, "connections": 1, "unknown_commands": 1,
                  "replies_5xx": 1}
        equal({name: found.get(name) for name in wanted}, wanted)
        assert 0 not in found.values(), "those that are zero are left out"
        equal(len(lines_of(server, "dns")), 1)
        with Client(server.addresses[0]) as client:
            client.message()
        server.signal(signal.SIGUSR1)
        equal(totals(server, 1)["messages"], 2)
        server.stop()
        equal(len(lines_of(server, "totals")), 2, "the end says nothing at this log.level")


def test_at_the_end():
    with tempfile.TemporaryDirectory() as folder:
        path = write_config(f"""\
domains: [example.com]
spool: {{directory: "{folder}/spool", segmentSize: 4M, reserve: 16M}}
log: {{format: json}}
smtpservers:
  - {{bind: "127.0.0.1:0", handlerchain: [], verifyIdentity: disabled}}
""")
        with serve(path) as server:
            with Client(server.addresses[0]) as client:
                client.message()
                client.message()
            server.stop()
            rows = [json.loads(line) for line in server.lines]
    found = {row["event"]: row for row in rows}
    equal(found["totals"]["messages"], 2)
    assert found["spool"]["written"] > 0, found["spool"]
    equal(rows[-1]["event"], "stopped")


def test_a_start_that_fails_has_none():
    taken = config()
    with serve(taken) as server:
        path = write_config("smtpservers:\n"
                            f"  - {{bind: '{server.address}', handlerchain: []}}\n"
                            "spool: {durability: none}\n")
        done = subprocess.run([MXRING, "serve", "-c", path], capture_output=True, timeout=SLOW * 3,
                              stdin=subprocess.DEVNULL, check=False)
        equal(done.returncode, 78)
        assert b"event=totals" not in done.stderr, done.stderr
        server.stop()


def test_of_a_sink():
    with sink() as server:
        with Client(server.addresses[0]) as client:
            client.message()
        server.signal(signal.SIGUSR1)
        equal(totals(server)["messages"], 1)
        equal(server.stop()["messages"], 1)
        equal(len(lines_of(server, "totals")), 1, "the end is JSON")


def test_lines_that_were_dropped():
    """Nobody reads the log: its queue fills up, and the lines that found no room are counted."""
    path = config(engine="", more="log: {level: debug, queue: 4K}")
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    process = subprocess.Popen([MXRING, "serve", "-c", path], stderr=writer,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as log:
            line = b""
            while b"event=listening" not in line:
                line = log.readline()
                assert line, "mxring ended"
            port = int(re.search(rb":(\d+) ", line)[1])
            for _ in range(200):  # 100 octets of log for each, and room for less than 16 KiB
                with Client(("127.0.0.1", port)) as client:
                    client.command("QUIT", "221")
            process.send_signal(signal.SIGUSR1)
            found = {}
            timer = threading.Timer(SLOW, process.kill)
            timer.start()
            while "log_dropped" not in found:
                line = log.readline()
                assert line, "ended, or nothing was said"
                if b"event=totals" in line:
                    found = counters(line.decode())
            timer.cancel()
            equal(found["connections"], 200)
            process.send_signal(signal.SIGTERM)
            log.read()
            equal(process.wait(SLOW), 0)
    finally:
        process.kill()
        process.wait()


def test_documented():
    with open(f"{SOURCE}/docs/OPERATION.md", encoding="utf-8") as file:
        text = file.read()
    missing, count = [], 0
    paths = [f"{SOURCE}/proto/counters.h", *glob.glob(f"{SOURCE}/engine/**/*.h", recursive=True)]
    for path in sorted(paths):
        with open(path, encoding="utf-8") as file:
            source = file.read().replace("\\\n", " ")
        for rows in re.findall(r"^#define MX_\w+_COUNTERS\(X\)(.*)$", source, re.M):
            for name, unit, meaning in re.findall(r'X\((\w+),\s*"([^"]*)",\s*"([^"]*)"\)', rows):
                row, count = f"| `{name}` | {unit} | {meaning} |", count + 1
                if row not in text:
                    missing.append(row)
    assert count > 60, count
    assert not missing, "not in docs/OPERATION.md:\n" + "\n".join(missing)


run(globals())
