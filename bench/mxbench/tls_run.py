"""What bench/tls measures: handshakes, messages, a flood beside others, idle sessions, an exchange."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from .account import memory_kib
from .peers import DISCARD, Postfix
from .process import Failure, free_port, started, tail, wait_until_up

HERE = os.path.dirname(os.path.realpath(__file__))
PATIENCE = 120  # seconds for any one program
SESSIONS = 64
POSTFIX_TLS = """
smtpd_tls_security_level = may
smtpd_tls_loglevel = 0
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_eecdh_grade = auto
"""
POSTFIX_MASTER = """
127.0.0.1:{port} inet n  -      n      -      1200    smtpd
    -o smtpd_tls_wrappermode=yes
tlsmgr     unix  -       -      n      1000?  1       tlsmgr
"""


class Bench:
    """Where everything is. keys: folder with NAME.pem and NAME.key."""

    def __init__(self, site, keys, scratch, cpus):
        self.site, self.keys, self.scratch, self.cpus = site, keys, scratch, cpus

    def pair(self, name):
        """Certificate and key, mode 0600, where a server may read them."""
        for end in ("pem", "key"):
            target = f"{self.scratch}/{name}.{end}"
            if not os.path.exists(target):
                shutil.copyfile(f"{self.keys}/{name}.{end}", target)
                os.chmod(target, 0o600)
        return f"{self.scratch}/{name}.pem", f"{self.scratch}/{name}.key"

    def run(self, command, cpus, status=0):
        """What a program prints, on these CPUs."""
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE, check=False,
                              preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        if done.returncode != status:
            raise Failure(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def load(self, port, *arguments):
        return json.loads(self.run([self.site.ours("mxload"), "--json", "-f", "a@example.org", "-t",
                                    "bob@example.com", *map(str, arguments), f"127.0.0.1:{port}"],
                                   self.cpus[1]))


class Mxring:
    name = "mxring"

    def launch(self, bench, folder, key, ports):
        cert, path = bench.pair(key)
        return [bench.site.ours("mxring"), "sink", "--workers", "1", "--tls-cert", cert,
                "--tls-key", path, f"127.0.0.1:{ports[0]}", "--tls", f"127.0.0.1:{ports[1]}"], None


class PostfixTls:
    """smtpd with DISCARD, and a second port with TLS from the first octet."""
    name = "Postfix smtpd"

    def __init__(self, site):
        self.peer = Postfix("postfix", "Postfix", DISCARD, "static:DISCARD", "")
        self.peer.find(site)

    def launch(self, bench, folder, key, ports):
        cert, path = bench.pair(key)
        launch = self.peer.launch(bench.site, folder, ports[0])
        with open(f"{folder}/etc/main.cf", "a", encoding="utf-8") as file:
            file.write(POSTFIX_TLS.format(cert=cert, key=path))
        with open(f"{folder}/etc/master.cf", "a", encoding="utf-8") as file:
            file.write(POSTFIX_MASTER.format(port=ports[1]))
        return launch.argv(), launch.env


class Running:
    """A server with a port in clear and one with TLS."""

    def __init__(self, process, ports):
        self.process, self.ports = process, ports

    def cpu_us(self):
        return self.process.account.cpu_us()

    def cost(self, bench, secure, count, *arguments):
        """CPU microseconds of the server for each message of a load, and what the client says."""
        before = self.cpu_us()
        more = ["--tls", *secure] if secure is not None else []
        result = bench.load(self.ports[secure is not None], "-m", count, *more, *arguments)
        time.sleep(0.05)  # what comes behind the last reply
        return (self.cpu_us() - before) / count, result


@contextlib.contextmanager
def running(bench, kind, key="ecdsa"):
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder, tempfile.TemporaryFile() as stderr:
        os.chmod(folder, 0o755)
        ports = [free_port(), free_port()]
        command, env = kind.launch(bench, folder, key, ports)
        with started(command, bench.cpus[0], stderr, env=env, cwd=folder) as process:
            wait_until_up(process, ports[0], kind.name, stderr)
            try:
                yield Running(process, ports)
            except Failure as failure:
                raise Failure(f"{failure}{tail(stderr)}") from failure


# ---- handshakes

KINDS = [("ecdsa", "1.3", "full"), ("ecdsa", "1.2", "full"), ("rsa", "1.3", "full"), ("rsa", "1.2", "full"),
         ("ecdsa", "1.3", "resumed"), ("ecdsa", "1.2", "resumed")]


def loops(bench, key, version, kind):
    """{name: us} of those that need no server."""
    cert, path = bench.pair(key)
    found = {}
    for name, more in (("bare", []), ("filter", ["--filter"])):
        result = json.loads(bench.run(
            [bench.site.ours("bench-tls_loop"), "--version", version, "--cert", cert, "--key", path, "-n", "1500",
             *more, *(["--resumed"] if kind == "resumed" else [])], bench.cpus[0]))
        found[name] = result["session_us"]
        found[f"{name}_handshake"] = result["session_us"] - result["records_us"]
    found["openssl"] = float(bench.run([sys.executable, f"{HERE}/openssl_loop.py", cert, path, version, kind, "800"],
                                       bench.cpus[0]))
    return found


def handshakes(bench, kinds, round_):
    """One round: rows {key, version, kind, us: {name: us}}."""
    rows = []
    for key in ("ecdsa", "rsa"):
        mine = [row for row in KINDS if row[0] == key]
        found = {row: loops(bench, *row) for row in mine}
        for server_kind in kinds:
            count = 2500 if isinstance(server_kind, Mxring) else 800
            load = ["-s", SESSIONS, "-l", 80, "--pipeline"]
            with running(bench, server_kind, key) as server:
                server.cost(bench, [], 200, *load)
                server.cost(bench, None, 200, *load)
                for row in mine:
                    secure = ["--tls-version", row[1], *(["--tls-resume"] if row[2] == "resumed" else [])]
                    plain, _ = server.cost(bench, None, count, *load)
                    us, result = server.cost(bench, secure, count, *load)
                    again, _ = server.cost(bench, None, count, *load)
                    resumed = result["tls"]["resumed"]
                    if (resumed > 0.9 * count) != (row[2] == "resumed"):
                        raise Failure(f"{server_kind.name}: {resumed} of {count} sessions were resumed: {row}")
                    us -= (plain + again) / 2
                    if row[2] == "resumed":  # the first of each client was a full one
                        share = 1 - resumed / count
                        us = (us - share * found[row[:2] + ("full",)][server_kind.name]) / (1 - share)
                    found[row][server_kind.name] = us
                    found[row][f"{server_kind.name}, in clear"] = (plain + again) / 2
        rows += [{"round": round_, "key": row[0], "version": row[1], "kind": row[2], "us": us}
                 for row, us in found.items()]
    return rows


# ---- messages

def messages(bench, kinds, round_):
    """One round: rows {size, server, clear_us, tls_us}."""
    rows = []
    for server_kind in kinds:
        with running(bench, server_kind) as server:
            for size, count in ((4096, 20000), (1 << 20, 200)):
                if not isinstance(server_kind, Mxring):
                    count //= 4
                load = ["-s", SESSIONS, "-d", "-l", size]
                server.cost(bench, [], SESSIONS, *load)
                server.cost(bench, None, SESSIONS, *load)
                clear, _ = server.cost(bench, None, count, *load)
                tls, _ = server.cost(bench, [], count, *load)
                rows.append({"round": round_, "size": size, "server": server_kind.name, "clear_us": clear,
                             "tls_us": tls})
    return rows


# ---- a flood of handshakes beside others

def prefer(pid, priority):
    """Whatever else runs on the machine, and the client of the flood, is no part of what is asked:
    the threads of a process but its first go before it on their CPU (the first of mxload's looks at
    /proc)."""
    end, workers = time.monotonic() + 5, []
    while not workers and time.monotonic() < end:
        workers = [int(name) for name in os.listdir(f"/proc/{pid}/task") if int(name) != pid]
        time.sleep(0.005)
    for tid in workers if os.geteuid() == 0 else []:
        os.sched_setscheduler(tid, os.SCHED_FIFO, os.sched_param(priority))


def flood_window(bench, server, options, has_flood):
    """The p99 of plain messages, us, in a window with or without handshakes beside it."""
    mxload = bench.site.ours("mxload")
    flood = None
    if has_flood:
        flood = subprocess.Popen(
            [mxload, "--json", "-A", "--tls", "--pipeline", "-s", "400", "--rate", f"{options.handshakes}/s",
             "--duration", str(options.seconds + 1), "-l", "80", f"127.0.0.1:{server.ports[1]}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, bench.cpus[1]))
        prefer(flood.pid, 5)
        time.sleep(0.5)
    before, begin = server.cpu_us(), time.monotonic()
    client = subprocess.Popen(
        [mxload, "--json", "-s", "64", "-d", "-l", "4096", "--rate", f"{options.plain}/s", "--ramp", "1",
         "--duration", str(options.seconds), f"127.0.0.1:{server.ports[0]}"], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, bench.cpus[1]))
    prefer(client.pid, 10)
    plain = json.loads(client.communicate(timeout=PATIENCE)[0])
    busy = (server.cpu_us() - before) / 1e6 / (time.monotonic() - begin)
    row = {"flood": has_flood, "p99_us": plain["phases"]["message"]["p99_ns"] / 1e3,
           "p50_us": plain["phases"]["message"]["p50_ns"] / 1e3, "messages_s": plain["messages_s"], "busy": busy}
    if flood:
        out, _ = flood.communicate(timeout=PATIENCE)
        result = json.loads(out)
        row["handshakes_s"] = result["messages_s"]
        row["failed"] = result["messages"]["started"] - result["messages"]["accepted"]
    return row


def flood(bench, options, key="ecdsa"):
    pairs = []
    with running(bench, Mxring(), key) as server:
        prefer(server.process.pid, 10)
        flood_window(bench, server, options, True)
        for i in range(options.pairs):
            rows = [flood_window(bench, server, options, has_flood) for has_flood in ((False, True), (True, False))[i % 2]]
            rows.sort(key=lambda row: row["flood"])
            pairs.append({"without": rows[0], "with": rows[1], "ratio": rows[1]["p99_us"] / rows[0]["p99_us"]})
    return pairs


# ---- idle sessions

def idle(bench, count):
    """Octets of the server for each of so many sessions that have spoken once and wait."""
    found = {}
    for name, secure in (("clear", None), ("TLS 1.3", ["--tls-version", "1.3"]), ("TLS 1.2", ["--tls-version", "1.2"])):
        with running(bench, Mxring()) as server:
            pid = next(pid for pid in server.process.account.pids()
                       if "mxring" in os.readlink(f"/proc/{pid}/exe"))
            server.cost(bench, secure, 50, "-s", 50)
            before, kind = memory_kib(pid)
            client = subprocess.Popen(
                [bench.site.ours("mxload"), "--json", "-s", str(count), "-m", str(2 * count), "-d", "-w", "600",
                 "--ramp", "4", *(["--tls", *secure] if secure is not None else []),
                 f"127.0.0.1:{server.ports[secure is not None]}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, bench.cpus[1]))
            time.sleep(10)
            after, _ = memory_kib(pid)
            client.send_signal(signal.SIGINT)
            result = json.loads(client.communicate(timeout=PATIENCE)[0])
            if result["messages"]["accepted"] != count or result["connections"]["lost"]:
                raise Failure(f"idle: {result['messages']}, {result['connections']}")
            found[name] = {"octets": (after - before) * 1024 / count, "kind": kind}
    return {"sessions": count, **found}


# ---- certificates are exchanged

def swap(bench, seconds):
    """Sessions without end, while the certificate's files are replaced and SIGHUP is sent."""
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder, tempfile.TemporaryFile() as stderr:
        names = ("rsa", "ecdsa")
        port = free_port()

        def place(name):
            for end in ("pem", "key"):
                shutil.copyfile(f"{bench.keys}/{name}.{end}", f"{folder}/new")
                os.chmod(f"{folder}/new", 0o600)
                os.rename(f"{folder}/new", f"{folder}/mx.{end}")

        place(names[0])
        with open(f"{folder}/mx.yaml", "w", encoding="utf-8") as file:
            file.write(f"engine: {{workers: 1}}\ndomains: [example.com]\nspool: {{durability: none}}\n"
                       f"smtpservers:\n  - {{bind: '127.0.0.1:{port}', handlerchain: [], verifyIdentity: disabled, "
                       "tls: {startTLS: true, privateKey: mx.key, certificates: mx.pem}}\n")
        with started([bench.site.ours("mxring"), "serve", "-c", f"{folder}/mx.yaml"], bench.cpus[0], stderr) as process:
            wait_until_up(process, port, "mxring", stderr)
            client = subprocess.Popen(
                [bench.site.ours("mxload"), "--json", "-A", "--starttls", "-s", "32", "--duration", str(seconds), "-l", "1K",
                 "-t", "bob@example.com", f"127.0.0.1:{port}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                text=True, preexec_fn=lambda: os.sched_setaffinity(0, bench.cpus[1]))
            exchanges, end = 0, time.monotonic() + seconds
            while time.monotonic() < end:
                exchanges += 1
                place(names[exchanges % 2])
                process.send_signal(signal.SIGHUP)
                time.sleep(0.1)
            result = json.loads(client.communicate(timeout=PATIENCE)[0])
            process.terminate()
            process.wait(PATIENCE)
            stderr.seek(0)
            done = len(re.findall(rb"event=reload result=done", stderr.read()))
    messages_, connections = result["messages"], result["connections"]
    return {"exchanges": exchanges, "done": done, "sessions": connections["opened"],
            "failed": messages_["started"] - messages_["accepted"] + connections["failed"] + connections["lost"] +
            result["tls"]["failed"]}
