"""The parts of bench/: what is counted, found, installed, computed and drawn."""
import contextlib
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import lib_bench
from lib_bench import BUILD, FLOOR
from lib_mxring import equal, eventually, run, sink

from mxbench import account, install, peers, place, process, stats, svg, table
from mxbench.compare_run import bounded
from mxbench.load import Load, Tools, measure, octets
from mxbench.server import Server, idle_memory

process.extend_path()
TOOLS = Tools(f"{BUILD}/mxload", None, {sorted(os.sched_getaffinity(0))[1]})
BURN = "import time\nwhile time.process_time() < 0.3: pass"
SITE = place.Site(BUILD, "/nonexistent")


# ---- what is counted

def test_cpu_of_children_that_have_ended():
    """A child burns 0.3 s and ends; with a cgroup also a grandchild whose parent ended before."""
    probe = account.new_account()
    is_cgroup = isinstance(probe, account.CgroupAccount)
    probe.end([])
    for kind in (account.Account, account.new_account):
        command = ["sh", "-c", f"{sys.executable} -c '{BURN}'; echo done; sleep 60"]
        if kind is account.new_account and is_cgroup:
            command[2] = f"sh -c \"{sys.executable} -c '{BURN}' & \"; {command[2]}"
            least = 0.55e6
        else:
            least = 0.25e6
        with tempfile.TemporaryFile() as stderr, \
                process.started(command, os.sched_getaffinity(0), stderr,
                                stdout=subprocess.PIPE) as shell:
            counted = shell.account
            if kind is account.Account:
                counted = account.Account()
                counted.leader = shell.pid
            equal(shell.stdout.readline(), b"done\n")
            eventually(lambda: sorted(map(name_of, counted.pids())) == ["sh", "sleep"],
                       "both have ended, and the shell sleeps")
            assert counted.cpu_us() >= least, (kind, counted.cpu_us())
            kib, how = counted.memory()
            assert kib > 0 and how in ("pss", "rss"), (kib, how)
            shell.stdout.close()


def test_who_leaves_the_session_is_ended_too():
    command = ["sh", "-c", "setsid sleep 61 & wait"]
    for kind in (account.Account, account.new_account):
        process.new_account, before = kind, process.new_account
        try:
            with tempfile.TemporaryFile() as stderr, \
                    process.started(command, os.sched_getaffinity(0), stderr) as shell:
                pids = eventually(lambda: len(found := account.descendants(shell.pid)) == 2
                                  and found, "the child")
        finally:
            process.new_account = before
        equal([pid for pid in pids if is_running(pid)], [], f"left by {kind}")
    equal(lib_bench.cgroups(), set(), "cgroups")


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def is_running(pid):
    """It is there, and more than a status that nobody has asked for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# ---- loads

def test_loads():
    equal(octets(1024), "1 KB")
    equal(octets(1 << 20), "1 MB")
    load = Load("mxload", 65536, reuse=False, pipeline=True)
    equal(load.id, "mxload-64KB-new-pipelined", "id")
    equal(bounded(Load("mxload", 1 << 20)).messages, 1024, "messages of 1 MB in a run")
    equal(bounded(load).messages, 0, "new connections have a limit of their own")
    command = TOOLS.mxload_command(load, "x:1", 0.5)
    assert "-d" not in command and command[command.index("-m") + 1] == "8000", command
    command = TOOLS.mxload_command(Load("mxload", 1, recipients=7, rate=9), "x:1", 0)
    equal([command[command.index(name) + 1] for name in ("-r", "--rate")], ["7", "9"], "options")
    assert "-N" in command and "--duration" not in command, command


def test_a_refusal_is_a_failure_with_its_reply():
    with sink("--workers", "1", "-f", "RCPT") as server:
        try:
            TOOLS.run(Load("mxload", 100, sessions=2), server.port, 0.1)
        except process.Failure as failure:
            assert "messages were accepted: 500 5.3.0" in str(failure), failure
        else:
            raise AssertionError("no failure")


def test_a_time_in_which_nobody_connects_is_too_short():
    with sink("--workers", "1") as server:
        result = TOOLS.run(Load("mxload", 100, sessions=500), server.port, 0.0011)
        assert result["messages"] >= 1, result


class Forgetful(peers.Command):
    """It says that it keeps what it takes."""

    def __init__(self, kept):
        super().__init__("forgetful", peers.DURABLE, FLOOR)
        self.counts = list(kept)

    def kept(self, folder):
        return self.counts.pop(0)


def test_a_server_that_does_not_keep_what_it_says():
    with tempfile.TemporaryDirectory() as folder:
        with Server(Forgetful([3, 23]), SITE, folder, {0}) as server:
            server.warm_up(TOOLS)
            result = measure(TOOLS, server, Load("mxload", 1024, sessions=3, messages=500), 0)
            equal(result["messages"], 500, "messages")
            equal(idle_memory(server, 70)["connections"], 70, "idle connections")
        with Server(Forgetful([0, 19]), SITE, folder, {0}) as server:
            try:
                server.warm_up(TOOLS)
            except process.Failure as failure:
                equal(str(failure), "keeps 19 of 20 messages that it took")
            else:
                raise AssertionError("no failure")
        equal(os.listdir(folder), [], "scratch")


# ---- places

def test_files_of_a_namespace():
    if os.geteuid() != 0:
        return
    with tempfile.TemporaryDirectory() as folder:
        ids, binds = place.accounts(folder, ["root", "mxbench-nobody"])
        equal(ids["root"], 0, "root")
        equal([target for _, target in binds], ["/etc/passwd", "/etc/group"], "binds")
        done = subprocess.run(place.in_namespace(["id", "mxbench-nobody"], binds),
                              capture_output=True, text=True, check=False)
        number = ids["mxbench-nobody"]
        assert f"uid={number}(mxbench-nobody) gid={number}(mxbench-nobody)" in done.stdout, done
    outside = subprocess.run(["id", "mxbench-nobody"], capture_output=True, check=False)
    assert outside.returncode != 0, outside
    equal(place.in_namespace(["true"], []), ["true"], "without binds")


def test_peers_are_found_or_absent_with_a_reason():
    names = [peer.name for peer in peers.all_peers()]
    equal(len(set(names)), len(names), names)
    equal({peer.kind for peer in peers.all_peers()}, set(peers.CLASSES), "classes")
    for peer in peers.all_peers():
        assert peer.meaning and os.path.exists(f"{peers.FILES}/../../{peer.config}"), peer.name
        with contextlib.suppress(place.Absent):
            peer.find(SITE)
            assert peer.version, peer.name
    cannot = next(peer for peer in peers.all_peers() if peer.name == "opensmtpd")
    equal(cannot.adapt(Load("mxload", 1, pipeline=True)), None, "pipelined")
    equal(cannot.adapt(Load("mxload", 1)).sessions, 5, "sessions")


# ---- installing

FAKE = {
    "apt-get": """case $* in
*simulate*postfix) echo postfix is already the newest version ;;
*simulate*exim4*) printf 'Inst %s (1 all)\\n' exim4-base libidn12 fonts-nice exim4-daemon-light ;;
*simulate*) echo 'E: Unable to locate package' ;;
*update) ;;
download*) shift; for name; do : > "${name}_1_all.deb"; done ;;
*) exit 9 ;;
esac""",
    "dpkg": 'mkdir -p "$3/usr/sbin"; touch "$3/usr/sbin/exim4"; chmod 4755 "$3/usr/sbin/exim4"\n'
            'echo "${2##*/}" >> "$3/unpacked"',
    "npm": "echo no network; exit 1",
}


def test_install_unpacks_what_is_missing_and_says_what_fails():
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/bin")
        for name, script in FAKE.items():
            with open(f"{folder}/bin/{name}", "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\n{script}\n")
            os.chmod(f"{folder}/bin/{name}", 0o755)
        path, said = os.environ["PATH"], []
        os.environ["PATH"] = f"{folder}/bin:{path}"
        try:
            site = place.Site(BUILD, f"{folder}/peers")
            equal(install.install(site, said.append), False, "all are there")
        finally:
            os.environ["PATH"] = path
        equal(said[:2], ["postfix: installed on this machine",
                         "exim4-daemon-light: unpacked exim4-base libidn12 exim4-daemon-light"])
        assert said[2].startswith("failed: apt-get knows no opensmtpd"), said
        assert "npm install" in said[4] and "no network" in said[4], said
        with open(f"{site.root}/unpacked", encoding="ascii") as file:
            equal(sorted(file.read().split()), ["exim4-base_1_all.deb",
                  "exim4-daemon-light_1_all.deb", "libidn12_1_all.deb"], "unpacked")
        equal(os.stat(f"{site.root}/usr/sbin/exim4").st_mode & 0o7777, 0o755, "no setuid")
        equal(site.program("exim4-of-nobody", "exim4") in
              (f"{site.root}/usr/sbin/exim4", "/usr/sbin/exim4"), True, "found")


# ---- figures

def test_numbers():
    for value, text in ((0, "0"), (0.0123, "0.0123"), (0.123, "0.123"), (1.234, "1.23"),
                        (12.34, "12.3"), (123.4, "123"), (1234, "1,230"), (51200, "51,200"),
                        (999.6, "1,000"), (0.00001, "0.0000"), (-3.21, "-3.21")):
        equal(stats.rounded(value), text, value)
    equal(stats.spread([]), None, "nothing")
    equal(stats.spread([3, None, 1, 2]), {"median": 2, "low": 1, "high": 3, "count": 3}, "spread")
    equal(stats.range_text(stats.spread([1, 2, 3])), "2.00 (1.00–3.00)", "range")


def a_run(server, us, load="l", verdict="unclear", **more):
    return {"server": server, "load": load, "us": us, "rate": 1e6 / us, "verdict": verdict,
            "sessions": 1, **more}


def test_ratios_are_taken_in_pairs():
    """The machine got slower by two: the ratio of the medians would be wrong."""
    result = {"runs": [
        a_run("a", 10, verdict="generator-limited"), a_run("a", 20, verdict="generator-limited"),
        a_run("a", 22, verdict="server-limited"),
        a_run("b", 30, reference_us=10, reference_rate=1e5, unsteady=False),
        a_run("b", 60, reference_us=20, reference_rate=5e4, unsteady=True),
        a_run("b", 66)]}
    cells = stats.cells(result)
    equal(cells["b", "l"]["ratio"], {"median": 3, "low": 3, "high": 3, "count": 2}, "ratio")
    equal(cells["b", "l"]["unsteady"], 1, "unsteady")
    equal((cells["a", "l"]["ratio"], cells["a", "l"]["client_limited"]), (None, True), "a")
    equal(table.cell_text(cells["b", "l"]), "60.0 ×3.00", "cell")
    equal(table.cell_text(None), "–", "no cell")


def test_rates_that_were_held():
    def point(offered, is_held, number):
        return {"server": "a", "offered": offered, "is_held": is_held, "round": number, "us": 5,
                "rate": offered, "latency_us": {"p50": 100 + number, "p99": 300}}

    points = stats.latency({"latency": [
        point(200, True, 0), point(100, True, 0), point(400, False, 0),
        point(100, True, 1), point(200, True, 1), point(400, True, 1)]})["a"]
    equal([(row["offered"], row["is_held"]) for row in points],
          [(100, True), (200, True), (400, False)], "points")
    equal(points[0]["p50"]["median"], 100.5, "median")
    equal(stats.held_rate(points), 200, "held")
    equal(stats.held_rate([]), None, "none")


# ---- plots

def test_axes():
    for values, is_log in (((3, 3), True), ((0.5, 20000), True), ((1, 2), True), ((7, 7), False),
                           ((0, 0), False), ((0.9, 1.1), False)):
        axis = svg.Axis(values, 10, 110, is_log)
        places = [axis.at(value) for value in values] + [axis.at(tick) for tick in axis.ticks()]
        assert all(9.99 <= at <= 110.01 for at in places), (values, places)
        assert len(axis.ticks()) >= 2, (values, axis.ticks())
    assert svg.Axis((1, 100), 100, 0).at(1) > svg.Axis((1, 100), 100, 0).at(100), "downwards"
    equal(svg.apart([5, 1, 5], 10), [11, 1, 21], "labels")
    equal([svg.short(value) for value in (5, 2000, 3e6)], ["5", "2k", "3M"], "ticks")


def test_plots_are_xml_and_say_what_they_show():
    row = {"label": "<a & b>", "median": 3, "low": 1, "high": 30, "is_ours": True,
           "is_hollow": True, "more": "\"x\""}
    line = {"label": "</svg>", "colour": 9, "points": [(1, 2, 1, 3), (10, 5, 5, 5)],
            "hollow": [10]}
    for plot in (svg.dots([("<head>", [row])], "t<", "u>"), svg.lines([line], "t", "x", "<y"),
                 svg.lines([line, line], "t", "x", "y", (False, False)),
                 svg.alone(svg.dots([("h", [row])], "t", "u"), ["<below>", "two"])):
        root = ElementTree.fromstring(plot)
        words = [element.text for element in root.iter() if element.tag.endswith("}text")]
        assert any(name in words for name in ("<a & b>", "</svg>")), words
    assert "var(" not in plot and "<below>" in words, words
    equal(svg.dots([], "t", "u"), "", "no rows")
    equal(svg.lines([{**line, "points": []}], "t", "x", "y"), "", "no points")


run(globals())
