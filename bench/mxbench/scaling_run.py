"""The points of bench/scaling, each run between two of the floor."""
import contextlib
import time
from dataclasses import replace

from .load import Load, measure
from .peers import DISCARD, Command
from .process import Failure
from .server import Server

KIB = 1024
BASE = Load("mxload", KIB, sessions=20)
EACH_CONNECTION = 40  # messages, where there are many connections
MANY = 1000
WINDOW = 256 * KIB  # so that what is under way does not grow with the size
# name -> (what x is, the points, the shape that is asked for)
AXES = {
    "connections": ("connections", (1, 10, 100, 1000, 10000), "flat"),
    "recipients": ("recipients of a message", (1, 10, 100, 1000), "linear"),
    "size": ("KB of a message", (1, 8, 64, 512, 4096, 16384, 65536), "linear"),
}


def load_at(axis, x):
    """(the load at this point, has it a number of messages instead of a time)"""
    if axis == "connections":
        is_counted = x >= MANY
        return replace(BASE, sessions=x, messages=x * EACH_CONNECTION * is_counted), is_counted
    if axis == "recipients":
        return replace(BASE, recipients=x), False
    return replace(BASE, size=x * KIB, sessions=8, window=WINDOW), False


class Scaling:
    """options: rounds, seconds, minutes, axes, workers, most, scratch."""

    def __init__(self, programs, site, tools, options, result, say):
        self.programs, self.site, self.tools = programs, site, tools
        self.options, self.result, self.say = options, result, say
        self.end = time.monotonic() + 60 * options.minutes
        result.update(runs=[], failures=[], rounds_done=0)

    def is_over(self):
        return time.monotonic() > self.end

    def run(self, cpus):
        for number in range(self.options.rounds):
            for workers in self.options.workers:
                with contextlib.ExitStack() as stack:
                    self.one_round(stack, number, workers, cpus)
            if self.is_over():
                self.result["cut"] = (f"round {number + 1} was cut after "
                                      f"{self.options.minutes:g} minutes")
                return
            self.result["rounds_done"] = number + 1

    def one_round(self, stack, number, workers, cpus):
        """All points with so many workers."""
        server_cpus, self.tools.cpus = cpus if workers == 1 else [cpus[0] | cpus[1]] * 2
        first = min(server_cpus)  # the floor's threads stay where they are, as mxring's workers
        can_pin = set(range(first, first + workers)) <= server_cpus
        pinned = f"--cpu {first}" if can_pin else ""
        commands = {
            "floor": f"{self.programs['bench-floor']} --threads {workers} {pinned} --port {{port}}",
            "mxring": f"{self.programs['mxring']} sink --workers {workers} 127.0.0.1:{{port}}"}
        servers = {}
        for name, command in commands.items():
            servers[name] = stack.enter_context(Server(
                Command(name, DISCARD, command), self.site, self.options.scratch, server_cpus))
            servers[name].warm_up(self.tools)
        for axis in self.options.axes:
            for x in AXES[axis][1]:
                if self.is_over() or x > self.options.most:
                    break
                if axis == "connections" and x < workers:
                    continue  # some of them would have nothing to do
                self.say(f"round {number + 1}, {workers} workers, {axis} {x}")
                try:
                    self.point(servers, number, workers, axis, x)
                except Failure as failure:
                    what = f"{axis} {x}, {workers} workers"
                    self.result["failures"].append({"what": what, "reason": str(failure)})
                    self.say(f"{what}: {failure}", is_news=True)

    def point(self, servers, number, workers, axis, x):
        load, is_counted = load_at(axis, x)
        seconds = 0 if is_counted else self.options.seconds
        before, run, after = (measure(self.tools, servers[name], load, seconds)
                              for name in ("floor", "mxring", "floor"))
        self.result["runs"].append({
            "axis": axis, "x": x, "workers": workers, "round": number, **run,
            "floor_us": (before["us"] + after["us"]) / 2,
            "floor_rate": (before["rate"] + after["rate"]) / 2})
