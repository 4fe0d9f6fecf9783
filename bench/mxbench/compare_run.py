"""The rounds of bench/compare: start everybody, memory, loads in pairs, latency; again.

All that is measured goes into one dictionary at once, so that it is whole whenever it ends.
"""
import contextlib
import time
from dataclasses import dataclass, replace

from .load import Load, measure, wait_quiet
from .process import Failure
from .server import Server, idle_memory

UNSTEADY = 1.25  # of the runs of the reference before and behind
RUN_OCTETS = 1 << 30  # at most, in one run
RATE_HELD = 0.95  # of the offered rate; below it the server is saturated
RATES = tuple(100 << step for step in range(11))  # messages a second
LATENCY = Load("mxload", 4096)


@dataclass
class Plan:
    """seconds of a run. minutes: no run begins later."""
    loads: list
    rounds: int
    seconds: float
    latency_seconds: float
    minutes: float
    phases: tuple = ("memory", "loads", "latency")


def bounded(load):
    """The load with no more messages than RUN_OCTETS."""
    most = max(load.sessions, RUN_OCTETS // max(load.size, 1))
    return replace(load, messages=most) if load.reuse else load


class Comparison:
    """peers: in the order of all_peers(). result: gets memory, runs, latency, failures."""

    def __init__(self, peers, site, tools, plan, result, say):
        self.peers, self.site, self.tools = peers, site, tools
        self.plan, self.result, self.say = plan, result, say
        self.begin = time.monotonic()
        self.end = self.begin + 60 * plan.minutes
        self.failed = {}  # (server, what) -> how often
        result.update(memory=[], runs=[], latency=[], failures=[], rounds_done=0)

    def run(self, scratch, server_cpus):
        """All rounds that fit into the time."""
        took = 0
        for number in range(self.plan.rounds):
            begin = time.monotonic()
            if begin + took > self.end:
                self.result["cut"] = (f"{number} of {self.plan.rounds} rounds fitted into "
                                      f"{self.plan.minutes:g} minutes")
                return
            self.round = number
            with contextlib.ExitStack() as stack:
                self.one_round(stack, scratch, server_cpus)
            if self.is_over():
                self.result["cut"] = f"round {number + 1} was cut after {self.plan.minutes:g} minutes"
                return
            self.result["rounds_done"] = number + 1
            took = time.monotonic() - begin

    def is_over(self):
        return time.monotonic() > self.end

    def fail(self, name, what, failure):
        """Note it; True when it has happened before, so that it is not tried again."""
        self.failed[name, what] = self.failed.get((name, what), 0) + 1
        self.result["failures"].append(
            {"server": name, "round": self.round, "what": what, "reason": str(failure)})
        self.say(f"{name}: {what}: {failure}", is_news=True)

    def is_hopeless(self, name, what):
        return self.failed.get((name, what), 0) > 1

    def one_round(self, stack, scratch, server_cpus):
        servers = {}
        for peer in list(self.peers):
            if self.is_over():
                return
            self.say(f"starting {peer.name}")
            try:
                server = stack.enter_context(Server(peer, self.site, scratch, server_cpus))
                server.warm_up(self.tools)
            except Failure as failure:
                self.leave_out(peer, failure)
                continue
            servers[peer.name] = server
            if "memory" in self.plan.phases:
                self.measure_memory(server)
        if "loads" in self.plan.phases:
            for load in self.plan.loads:
                for group in self.groups(servers):
                    self.pairs(load, group)
        if "latency" in self.plan.phases:
            for server in servers.values():
                self.latency(server)

    def leave_out(self, peer, failure):
        """It does not start, or does not keep mail: no row for it, if it never did."""
        if self.round > 0:
            self.fail(peer.name, "start", failure)
            return
        self.peers.remove(peer)
        self.result["left_out"].append({"name": peer.name, "title": peer.title,
                                        "reason": str(failure)})
        self.say(f"{peer.name} is left out: {failure}", is_news=True)

    def groups(self, servers):
        """The servers of each class, the reference first."""
        groups = {}
        for server in servers.values():
            groups.setdefault(server.peer.kind, []).append(server)
        return groups.values()

    def measure_memory(self, server):
        self.say(f"idle connections: {server.name}")
        try:
            found = idle_memory(server, server.peer.idle)
        except Failure as failure:
            self.fail(server.name, "idle connections", failure)
            return
        wait_quiet(server.account)
        self.result["memory"].append({"server": server.name, "round": self.round, **found})

    def pairs(self, load, group):
        """reference, peer, reference, peer, ... reference: each peer between two of its own."""
        reference, others = group[0], group[1:]
        last = {}  # of the reference, by what was run
        if not others:
            self.one(reference, load, reference.peer.adapt(load))
        for server in others:
            mine = server.peer.adapt(load)
            if mine is None or self.is_hopeless(server.name, load.id):
                continue
            before = last.get(mine) or self.one(reference, load, mine)
            run = self.one(server, load, mine)
            after = last[mine] = self.one(reference, load, mine)
            if not (before and run and after):
                continue
            run["reference_us"] = (before["us"] + after["us"]) / 2
            run["reference_rate"] = (before["rate"] + after["rate"]) / 2
            low, high = sorted((before["us"], after["us"]))
            run["unsteady"] = high > UNSTEADY * low

    def one(self, server, load, mine):
        """One run, noted; None when there is none."""
        if mine is None or self.is_over() or self.is_hopeless(server.name, load.id):
            return None
        self.say(f"{load.title}: {server.name}")
        try:
            run = measure(self.tools, server, bounded(mine), self.plan.seconds)
            run = {"server": server.name, "load": load.id, "round": self.round,
                   "sessions": mine.sessions, **run}
            self.result["runs"].append(run)
            server.clear(self.tools)
        except Failure as failure:
            self.fail(server.name, load.id, failure)
            return None
        return run

    def latency(self, server):
        """Rates that double until the server cannot hold them."""
        load = server.peer.adapt(LATENCY)
        for rate in RATES:
            if self.is_over() or self.is_hopeless(server.name, "latency"):
                return
            self.say(f"latency at {rate}/s: {server.name}")
            try:
                run = measure(self.tools, server, replace(load, rate=rate),
                              self.plan.latency_seconds)
                server.clear(self.tools)
            except Failure as failure:
                self.fail(server.name, "latency", failure)
                return
            is_held = run["rate"] >= RATE_HELD * rate
            self.result["latency"].append(
                {"server": server.name, "round": self.round, "offered": rate,
                 "is_held": is_held, **run})
            if not is_held:
                return
