"""One load on one server: what it is, how to run it, what came of it."""
import json
import math
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass

from .process import Failure, started, tail

ENVELOPE = ["-f", "a@example.org", "-t", "bob@example.com"]
PATIENCE = 30  # seconds that a load may take longer than it was to take
NEW_CONNECTIONS = 8000  # at most in a run: each takes a port for a while
REPLY_SECONDS = 20
LONG_SECONDS = 5  # so long a load is no longer too short to begin
QUIET_US = 2000  # of CPU in QUIET_SECONDS: the server has nothing left to do
QUIET_SECONDS = 0.1
BUSY_SECONDS = 10  # so long we wait for that


@dataclass(frozen=True)
class Load:
    """client: mxload or smtp-source. rate: messages a second, whatever the server does; 0 = as
    fast as it answers. recipients: of each message. sessions at the same time."""
    client: str
    size: int
    reuse: bool = True
    pipeline: bool = False
    sessions: int = 50
    recipients: int = 1
    rate: int = 0
    messages: int = 0  # at most, 0 = as many as fit into the time
    window: int = 0  # octets of mxload's socket buffers, 0 = the kernel's

    @property
    def title(self):
        how = "pipelined" if self.pipeline else ""
        connections = "re-used" if self.reuse else "new connections"
        return ", ".join(filter(None, (self.client, octets(self.size), connections, how)))

    @property
    def id(self):
        return "-".join(filter(None, (
            self.client, octets(self.size).replace(" ", ""), "reuse" if self.reuse else "new",
            "pipelined" if self.pipeline else "")))

    def as_dict(self):
        return {"id": self.id, "title": self.title, **asdict(self)}


def octets(size):
    """1 KB, 64 KB, 1 MB: in steps of 1024."""
    for unit in ("B", "KB"):
        if size < 1024:
            return f"{size} {unit}"
        size //= 1024
    return f"{size} MB"


class Tools:
    """The programs that load servers, and the CPUs that they may use. env: smtp-source's."""

    def __init__(self, mxload, smtp_source, cpus, env=None):
        self.mxload, self.smtp_source, self.cpus, self.env = mxload, smtp_source, cpus, env
        self.rates = {}  # of smtp-source: (address, load) -> messages a second

    def run(self, load, port, seconds):
        """Send for about that long: {messages, seconds, rate, client_us, and of mxload verdict and
        latency}; Failure when a message was not accepted."""
        run = self.run_mxload if load.client == "mxload" else self.run_smtp_source
        return run(load, f"127.0.0.1:{port}", seconds)

    def finish(self, command, seconds, env=None):
        """Run a client to its end: (its exit status, stdout, stderr's end, seconds, CPU us)."""
        with tempfile.TemporaryFile() as stderr, \
                started(command, self.cpus, stderr, stdout=subprocess.PIPE, env=env) as client:
            begin = time.monotonic()
            try:
                out, _ = client.communicate(timeout=seconds + PATIENCE)
            except subprocess.TimeoutExpired:
                raise Failure(f"the load did not end within {seconds + PATIENCE:.0f} s") from None
            took = time.monotonic() - begin
            return client.returncode, out, tail(stderr), took, client.account.cpu_us()

    def mxload_command(self, load, address, seconds):
        command = [self.mxload, "--json", "-s", str(load.sessions), "-l", str(load.size),
                   "-r", str(load.recipients), "--timeout", str(REPLY_SECONDS), *ENVELOPE]
        limit = load.messages or (0 if load.reuse else NEW_CONNECTIONS)
        if limit:
            command += ["-m", str(limit)]
        if seconds:
            command += ["--duration", f"{seconds:g}"]
        if load.rate:
            command += ["--rate", str(load.rate)]
        if load.window:
            command += ["-T", str(load.window)]
        if load.recipients > 1:
            command.append("-N")
        if load.reuse:
            command.append("-d")
        if load.pipeline:
            command.append("--pipeline")
        return [*command, address]

    def run_mxload(self, load, address, seconds):
        command = self.mxload_command(load, address, seconds)
        status, out, error, _, _ = self.finish(command, seconds)
        try:
            said = json.loads(out)
        except ValueError:
            raise Failure(f"mxload failed with {status}:{error}") from None
        messages = said["messages"]
        if messages["started"] == 0 and not said["ended_early"] and 0 < seconds < LONG_SECONDS:
            return self.run_mxload(load, address, 10 * seconds)  # it was over before all were there
        if status != 0:
            raise Failure(f"mxload: {messages['accepted']} of {messages['started']} messages were "
                          f"accepted: {said['ended_early'] or said['codes'] or error.strip()}")
        latency = said["phases"]["message"]
        return {"messages": messages["accepted"], "seconds": said["elapsed_s"],
                "rate": said["messages_s"], "client_us": said["cpu_us_message"],
                "verdict": said["verdict"],
                "latency_us": {name: latency[f"{name}_ns"] / 1000
                               for name in ("p50", "p90", "p99", "p999", "max")}}

    def run_smtp_source(self, load, address, seconds):
        if load.pipeline or load.rate or load.recipients > 1:
            raise Failure("smtp-source cannot do that")
        rate = self.rates.get((address, load))
        if rate is None:  # a first, short run tells how many messages fit into the time
            first = self.smtp_source_once(load, address, 2 * load.sessions)
            rate = self.rates[address, load] = first["rate"]
        messages = max(load.sessions, math.ceil(rate * seconds))
        limit = load.messages or (messages if load.reuse else NEW_CONNECTIONS)
        result = self.smtp_source_once(load, address, min(messages, limit))
        self.rates[address, load] = result["rate"]
        return result

    def smtp_source_once(self, load, address, messages):
        command = [self.smtp_source, "-s", str(load.sessions), "-l", str(load.size),
                   "-m", str(messages), *(["-d"] if load.reuse else []), *ENVELOPE, address]
        status, _, error, took, cpu_us = self.finish(command, REPLY_SECONDS, self.env)
        if status != 0:
            raise Failure(f"smtp-source failed with {status}:{error}")
        busy = cpu_us / (1e6 * took)
        return {"messages": messages, "seconds": took, "rate": messages / took,
                "client_us": cpu_us / messages,
                "verdict": "generator-limited" if busy > 0.9 else "unclear"}


def wait_quiet(account):
    """Until the server works no more; False when it went on for BUSY_SECONDS."""
    end = time.monotonic() + BUSY_SECONDS
    while time.monotonic() < end:
        before = account.cpu_us()
        time.sleep(QUIET_SECONDS)
        if account.cpu_us() - before < QUIET_US:
            return True
    return False


def measure(tools, server, load, seconds):
    """What the load says, and `us`: the server's CPU time for each message, from before the load
    until the server is quiet."""
    before = server.account.cpu_us()
    result = tools.run(load, server.port, seconds)
    is_quiet = wait_quiet(server.account)
    server.check()
    used = server.account.cpu_us() - before
    if used <= 0:
        raise Failure("no CPU time was seen: let a run take longer (--seconds)")
    result["us"] = used / result["messages"]
    if not is_quiet:
        result["busy"] = True
    return result
