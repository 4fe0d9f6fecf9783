"""bench/compare on small runs, with bench-floor and mxring sink as the servers: what it measures,
writes and leaves behind. No times are asserted."""
import html.parser
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import lib_bench
from lib_bench import FLOOR, SINK, bench, cgroups, descendants, fails
from lib_mxring import MXRING, SLOW, SOURCE, equal, eventually, run

from mxbench import stats

FLOOR_TOO = ("--also", "floor", "discard", FLOOR)
NOTHING = "/nonexistent"
HAS_SMTP_SOURCE = shutil.which("smtp-source", path="/usr/bin:/usr/sbin:/sbin") is not None


def compare(folder, *arguments, **how):
    """A run with its own folders; nothing installed counts but what the arguments name."""
    return bench("compare", "--build", lib_bench.BUILD, "--peers", NOTHING, "--scratch", folder,
                 "--out", f"{folder}/out", "--seconds", "0.1", *arguments, **how)


def result_of(folder):
    with open(only_file(folder, ".json"), encoding="utf-8") as file:
        return json.load(file)


def only_file(folder, suffix):
    names = [name for name in os.listdir(f"{folder}/out") if name.endswith(suffix)]
    equal(len(names), 1, f"files {suffix}: {names}")
    return f"{folder}/out/{names[0]}"


def is_clean(folder):
    equal(os.listdir(folder), ["out"], "the scratch folder")
    equal(cgroups(), set(), "cgroups")


class Page(html.parser.HTMLParser):
    """What is in a page: text, plots, the data, and whether every element is closed."""

    VOID = {"meta", "br"}

    def __init__(self, text):
        super().__init__()
        self.stack, self.texts, self.data, self.outside = [], [], "", []
        self.feed(text)
        self.close()
        equal(self.stack, [], "open elements")

    def handle_starttag(self, tag, attributes):
        self.outside += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID and not self.get_starttag_text().endswith("/>"):
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.outside += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        equal(self.stack.pop(), tag, "end tag")

    def handle_data(self, data):
        if self.stack[-1:] == ["script"]:
            self.data += data
        elif self.stack[-1:] != ["style"]:
            self.texts.append(data)


def check_page(path, result, *texts):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    page = Page(text)
    equal(json.loads(page.data), result, "the data in the page")
    equal(page.outside, [], "what the page needs from elsewhere")
    for wanted in texts:
        assert any(wanted in one for one in page.texts), wanted
    plots = ["<svg" + part.split("</svg>")[0] + "</svg>" for part in text.split("<svg")[1:]]
    for plot in plots:
        ElementTree.fromstring(plot)
    return len(plots)


def check_pairs(result, load):
    """Each run of the floor stands between two of the reference, and was divided by these."""
    runs = [row for row in result["runs"] if row["load"] == load]
    floors = [at for at, row in enumerate(runs) if row["server"] == "floor"]
    equal([runs[at]["round"] for at in floors], [0, 1], "rounds")
    for at in floors:
        around = [runs[at - 1], runs[at + 1]]
        equal([row["server"] for row in around], ["mxring-sink"] * 2, "around it")
        for name in ("us", "rate"):
            mean = (around[0][name] + around[1][name]) / 2
            equal(runs[at][f"reference_{name}"], mean, name)
    assert all("reference_us" not in row for row in runs if row["server"] != "floor"), runs


def test_a_small_run_says_everything():
    with tempfile.TemporaryDirectory() as folder:
        loads = "mxload-1KB-reuse,mxload-4KB-new-pipelined"
        loads += ",smtp-source-4KB-new" if HAS_SMTP_SOURCE else ""
        done = compare(folder, *FLOOR_TOO, "--only", "mxring-sink,floor", "--load", loads,
                       "--rounds", 2, "--plot", f"{folder}/out/plot.svg")
        fails(done, 0)
        result = result_of(folder)
        equal(result["rounds_done"], 2, "rounds")
        equal((result["failures"], result["left_out"]), ([], []), "what went wrong")
        equal([(row["name"], row["class"]) for row in result["servers"]],
              [("mxring-sink", "discard"), ("floor", "discard")], "servers")
        for load in loads.split(","):
            check_pairs(result, load)
        for row in result["runs"]:
            assert row["us"] > 0 and row["rate"] > 0 and row["messages"] > 0, row
        equal([(row["server"], row["round"]) for row in result["memory"]],
              [(name, number) for number in (0, 1) for name in ("mxring-sink", "floor")], "memory")
        equal({row["server"] for row in result["latency"]}, {"mxring-sink", "floor"}, "latency")
        for name in ("cpu", "kernel", "date", "filesystem", "accounting"):
            assert result["machine"][name], name
        assert check_page(only_file(folder, ".html"), result, "floor", "mxring sink",
                          "what its 250 means", result["machine"]["cpu"]) == \
            2 * len(loads.split(",")) + 1 + 3
        ElementTree.parse(f"{folder}/out/plot.svg")
        for text in ("discard: the 250 promises nothing", "mxring sink", result["command"]):
            assert text in done.stdout, (text, done.stdout)
        os.unlink(f"{folder}/out/plot.svg")
        is_clean(folder)


def test_a_report_is_made_again_from_the_json():
    with tempfile.TemporaryDirectory() as folder:
        done = compare(folder, *FLOOR_TOO, "--only", "mxring-sink,floor", "--load",
                       "mxload-1KB-reuse", "--rounds", 1, "--phases", "loads")
        fails(done, 0)
        path = only_file(folder, ".html")
        with open(path, encoding="utf-8") as file:
            before = file.read()
        os.unlink(path)
        again = bench("compare", "--report", only_file(folder, ".json"))
        fails(again, 0)
        equal(again.stdout, done.stdout, "the table")
        with open(path, encoding="utf-8") as file:
            equal(file.read(), before, "the page")
        markdown = bench("compare", "--markdown", "--report", only_file(folder, ".json")).stdout
        assert "| **discard**: counted and thrown away | mxring sink" in markdown, markdown
        with open(f"{folder}/other.json", "w", encoding="ascii") as file:
            file.write('{"kind": "scaling", "schema": 1}')
        fails(bench("compare", "--report", f"{folder}/other.json"), 1, "is no result of")
        fails(bench("compare", "--report", f"{folder}/none.json"), 1, "none.json")


def test_no_result_is_overwritten():
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            fails(compare(folder, "--only", "mxring-sink", "--rounds", 1, "--phases", "memory"), 0)
        names = sorted(os.listdir(f"{folder}/out"))
        equal(len(names), 4, names)
        assert names[0].replace("-2.html", ".html") == names[2], names


def test_who_is_not_there_is_named_with_the_reason():
    with tempfile.TemporaryDirectory() as folder:
        done = compare(folder, "--only", "mxring-sink,haraka,smtp-server,ends,silent",
                       "--also", "ends", "durable", "sh -c 'echo no luck >&2; exit 3' {port}",
                       "--also", "silent", "durable", "/nonexistent/server {port}",
                       "--rounds", 1, "--phases", "memory")
        fails(done, 0)
        reasons = {row["name"]: row["reason"] for row in result_of(folder)["left_out"]}
        equal(set(reasons), {"haraka", "smtp-server", "ends", "silent"}, "left out")
        assert "npm's Haraka is not installed (bench/compare --install)" in reasons["haraka"]
        assert "ended with 3" in reasons["ends"] and "no luck" in reasons["ends"], reasons
        assert "/nonexistent/server" in reasons["silent"], reasons
        for name in ("Haraka", "nodemailer smtp-server", "ends", "silent"):
            assert f"left out: {name}: " in done.stdout, done.stdout
        is_clean(folder)


def test_a_server_that_refuses_or_dies():
    with tempfile.TemporaryDirectory() as folder:
        dying = f"{sys.executable} {SOURCE}/tests/e2e/lib_dying_server.py {{port}} 40"
        done = compare(folder, *FLOOR_TOO, "--only", "mxring-sink,floor,refuses,dies",
                       "--also", "refuses", "durable", f"{MXRING} sink -f . 127.0.0.1:{{port}}",
                       "--also", "dies", "discard", dying, "--load",
                       "mxload-1KB-reuse,mxload-1KB-new", "--rounds", 1, "--phases", "loads")
        fails(done, 0)
        result = result_of(folder)
        equal([row["name"] for row in result["left_out"]], ["refuses"], "left out")
        assert "messages were accepted: 500" in result["left_out"][0]["reason"], result["left_out"]
        equal({(row["server"], row["what"]) for row in result["failures"]},
              {("dies", "mxload-1KB-reuse"), ("dies", "mxload-1KB-new")}, "failures")
        cells = stats.cells(result)
        for load in ("mxload-1KB-reuse", "mxload-1KB-new"):
            assert cells["floor", load]["ratio"]["count"] == 1, cells
            assert ("dies", load) not in cells, cells
        assert "failed: dies, mxload-1KB-new" in done.stdout, done.stdout
        is_clean(folder)


def interrupted(folder, number, *arguments, until):
    """Start a long run; when until(its processes' command lines) is true, send the signal."""
    process = subprocess.Popen(
        [sys.executable, f"{SOURCE}/bench/compare", "--build", lib_bench.BUILD, "--peers", NOTHING,
         "--scratch", folder, "--out", f"{folder}/out", *FLOOR_TOO, "--only", "mxring-sink,floor",
         *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def is_time():
        pids = descendants(process.pid)
        commands = []
        for pid in pids:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    commands.append(file.read().replace(b"\0", b" ").decode())
            except OSError:
                pass  # it has ended
        return pids if until(commands) else None

    pids = eventually(is_time, "the run is where it is to be ended", 3 * SLOW)
    process.send_signal(number)
    out, error = process.communicate(timeout=3 * SLOW)
    equal(process.returncode, 128 + number, error)
    assert "Traceback" not in error, error
    for pid in pids:
        assert not os.path.exists(f"/proc/{pid}"), pid
    return out, error


def test_an_interrupted_run_writes_what_it_has():
    with tempfile.TemporaryDirectory() as folder:
        out, _ = interrupted(
            folder, signal.SIGINT, "--seconds", "15", "--rounds", "1",
            "--load", "mxload-1KB-reuse", "--phases", "memory,loads",
            until=lambda commands: any("--duration 15" in command for command in commands))
        result = result_of(folder)
        equal(result["interrupted"], "ended by SIGINT", "interrupted")
        equal({row["server"] for row in result["memory"]}, {"mxring-sink", "floor"}, "memory")
        equal((result["runs"], result["rounds_done"]), ([], 0), "runs")
        assert "interrupted: ended by SIGINT" in out, out
        check_page(only_file(folder, ".html"), result, "interrupted: ended by SIGINT; this is "
                   "what was measured until then")
        is_clean(folder)


def test_nothing_is_written_when_nothing_was_measured():
    with tempfile.TemporaryDirectory() as folder:
        _, error = interrupted(folder, signal.SIGTERM, "--seconds", "15", "--rounds", "1",
                               "--phases", "latency", "--load", "mxload-1KB-reuse",
                               until=lambda commands: any("--rate" in text for text in commands))
        assert "nothing was measured" in error, error
        equal(os.listdir(folder), [], "the scratch folder")
        equal(cgroups(), set(), "cgroups")


def test_time_that_is_up_cuts_the_run():
    with tempfile.TemporaryDirectory() as folder:
        fails(compare(folder, "--only", "mxring-sink", "--rounds", 50, "--minutes", 0.03,
                      "--load", "mxload-1KB-reuse", "--phases", "memory,loads"), 0)
        result = result_of(folder)
        assert result["rounds_done"] < 50 and "minutes" in result["cut"], result


def test_bad_arguments():
    with tempfile.TemporaryDirectory() as folder:
        fails(compare(folder, "--rounds", 0), 2, "--rounds is 1 or more")
        fails(compare(folder, "--phases", "lunch"), 2, "--phases are memory, loads, latency")
        fails(compare(folder, "--only", "sendmail"), 1, "no server sendmail; there are mxring-sink")
        fails(compare(folder, "--load", "all"), 1, "no load all")
        fails(compare(folder, "--also", "x", "lost", "x {port}"), 1, "lost is none of discard")
        fails(compare(folder, "--also", "x", "discard", "x"), 1, "the command needs {port}")
        fails(compare(folder, "--only", "haraka"), 1, "there is nothing to measure",
              "haraka: npm's Haraka is not installed")
        fails(bench("compare", "--build", folder, "--only", "mxring-sink"), 1,
              f"there is no {os.path.realpath(folder)}/mxring")
        equal(os.listdir(folder), [], "what is left")


run(globals())
