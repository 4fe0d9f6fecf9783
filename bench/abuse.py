#!/usr/bin/env python3
"""bench/abuse.py [option]... [KIND]... - what abuse, and waiting for the DNS, costs the well-behaved.

A gateway with one worker on the first CPU; on the second bench-abuse_load, which plays 32
well-behaved clients and 1,000 abusive ones (see bench/abuse_load.c). The well-behaved send at half
of what they reach at full speed, measured anew before each pair of windows, for a virtual machine
changes its speed. The p99 of their latency (due time to the final 250) with abuse is compared with
that of the window without; which of the two comes first alternates.

Needs two CPUs, nothing else running, and root: the server runs with SCHED_FIFO, the clients with
the lowest nice value, and idle CPUs poll instead of halting (/dev/cpu_dma_latency), since otherwise
the p99 is that of other threads of the machine and of the hypervisor's wake-ups. A pair in which
somebody else still had one of the CPUs is repeated, until the time (--minutes) would not suffice;
then it is left out. MXRING and MX_ABUSE_LOAD name the programs.
"""
import argparse
import glob
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.realpath(f"{__file__}/../..")
MXRING = os.environ.get("MXRING") or f"{TOP}/build/mxring"
LOAD = os.environ.get("MX_ABUSE_LOAD") or f"{TOP}/build/bench-abuse_load"
KINDS = ("lines", "commands", "dribble", "bodies", "resets", "unread", "all", "dns", "dns-slow")
# Clients on a listener with DNSRBLHandler, each from an address of its own: arguments and warm-up.
# 2,500 come a second, so that each stays for two; with the slow one all of them wait all the time.
WAITING = {"dns": (["--dns-delay", "50"], 2.5), "dns-slow": (["--dns-delay", "1900"], 4.5)}
SHOWN = ("p50_us", "p99_us", "max_us", "own_delay_p99_us", "server_cpu", "foreign")
LIMIT = 1.5  # of the ratio
DISTURBED = 0.004  # of a window: so long may somebody else have a CPU
PAIR_EXTRA = 2  # seconds a pair takes beside its windows
CONFIG = """\
engine: {workers: 1, drainTimeout: 1s}
domains: [example.com]
spool: {durability: none}
dns: {servers: ["127.0.0.1:%d"], timeout: 4s, attempts: 1}
smtpservers:
  - {bind: "127.0.0.1:0", handlerchain: [], maxErrors: 0, verifyIdentity: disabled}
  - bind: 127.0.0.1:0
    maxErrors: 0
    handlerchain: [DNSRBLHandler: {rblservers: {blacklist: [bl.example]}}]
"""


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def go_first():
    """nice(1) counts between the programs of one session only; this, between sessions."""
    os.setsid()
    try:
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write("-20")
    except OSError:
        pass  # not root, or a kernel without it


def busy():
    """Seconds that all CPUs have worked."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


class Bench:
    """The server and how to load it."""

    def __init__(self, cpus, options, spare):
        self.cpus, self.seconds, self.verbose = cpus, options.seconds, options.verbose
        self.spare_of_kind = spare  # seconds for repeated pairs
        self.spare = 0
        self.is_root = os.geteuid() == 0
        self.seed = 0
        self.config = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        self.dns_port = free_udp_port()
        self.config.write(CONFIG % self.dns_port)
        self.config.flush()
        self.log = tempfile.NamedTemporaryFile("r")
        with open(self.log.name, "w", encoding="ascii") as log:
            self.server = subprocess.Popen(
                [*self.on(cpus[0], "chrt", "-f", "1"), MXRING, "serve", "-c", self.config.name],
                stderr=log, preexec_fn=go_first)
        self.address, self.waiting_room = self.listener(), self.listener()

    def listener(self):
        """The address of the next one."""
        deadline = time.monotonic() + 10
        while "event=listening" not in (line := self.log.readline()):
            if self.server.poll() is not None or time.monotonic() > deadline:
                self.stop()
                sys.exit(f"the server does not start: {line}")
            time.sleep(0 if line else 0.02)
        return line.split("addr=")[1].split()[0]

    def on(self, cpu, *first):
        """What runs a program on that CPU, before others."""
        return [*(first if self.is_root else ()), "taskset", "-c", str(cpu)]

    def stop(self):
        self.server.terminate()
        try:
            self.server.wait(20)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        return self.server.returncode

    def threads(self):
        """Of each thread of the server the seconds it ran, and could have run but had no CPU."""
        times = {}
        for path in glob.glob(f"/proc/{self.server.pid}/task/*/schedstat"):
            with open(path, encoding="ascii") as file:
                times[path] = [int(field) / 1e9 for field in file.read().split()[:2]]
        return times

    def foreign(self, before):
        """Seconds that the worker waited while no other thread of the server ran."""
        spent = [(now[0] - was[0], now[1] - was[1]) for path, now in self.threads().items()
                 if (was := before.get(path))]
        ran, waited = max(spent)
        return waited - (sum(run for run, _ in spent) - ran)

    def window(self, kind, rate, seconds, warmup):
        """What bench-abuse_load says, and `foreign`: the share of time somebody else ran."""
        self.seed += 1
        arguments, warmup = WAITING.get(kind, ([], warmup))
        if arguments:
            kind = "dns"
            arguments = [*arguments, "--abusers", "5000", "--dns-port", str(self.dns_port),
                         "--dns-gateway", self.waiting_room.split(":")[1]]
        before = self.threads()
        done = subprocess.run(
            [*self.on(self.cpus[1], "nice", "-n", "-20"), LOAD, self.address, "--kind", kind,
             "--rate", f"{rate:.0f}", "--seconds", str(seconds), "--warmup", str(warmup),
             "--seed", str(self.seed), "--server", str(self.server.pid), *arguments],
            stdout=subprocess.PIPE, text=True, timeout=120, check=False, preexec_fn=go_first)
        if done.returncode != 0:
            sys.exit(f"a window with {kind} has failed: {done.stdout}")
        result = json.loads(done.stdout)
        foreign = max(1 - result["own_cpu"], self.foreign(before) / seconds)
        result["foreign"] = round(foreign, 4)
        return result

    def capacity(self):
        return max(self.window("none", 0, 0.2, 0.05)["per_s"] for _ in range(3))

    def pair(self, kind, abuse_first):
        rate = self.capacity() / 2
        order = (kind, "none") if abuse_first else ("none", kind)
        results = {}
        for name in order:
            results[name] = self.window(name, rate, self.seconds, 0.2)
            time.sleep(0.2 if name != "none" else 0)  # a thousand connections come to their end
        return results["none"], results[kind]

    def wait_quiet(self):
        """Nobody does anything for a tenth of a second."""
        while self.spare > 0:
            before = busy()
            time.sleep(0.1)
            if busy() - before < 0.02:
                return
            time.sleep(0.4)
            self.spare -= 0.5

    def quiet_pair(self, kind, abuse_first):
        """A pair, or None when there is no quiet one."""
        while True:
            self.wait_quiet()
            begin = time.monotonic()
            pair = self.pair(kind, abuse_first)
            if self.verbose:
                print(*(f"    {field} {pair[0][field]} -> {pair[1][field]}" for field in SHOWN))
            if max(result["foreign"] for result in pair) <= DISTURBED:
                return pair
            if self.spare <= 0:
                return None
            self.spare -= time.monotonic() - begin

    def compare(self, kind, count):
        self.spare += self.spare_of_kind
        pairs = [self.quiet_pair(kind, i % 2 == 1) for i in range(count)]
        pairs = [pair for pair in pairs if pair]
        if not pairs:
            print(f"{kind:8} all pairs were disturbed", flush=True)
            return
        calm, abuse = zip(*pairs)

        def median(windows, field, factor=1):
            return statistics.median(window[field] for window in windows) * factor

        def change(field, width, digits=0, factor=1):
            calm_value, abuse_value = median(calm, field, factor), median(abuse, field, factor)
            return f" {calm_value:{width}.{digits}f} -> {abuse_value:{width}.{digits}f}"

        ratios = [b["p99_us"] / a["p99_us"] for a, b in pairs]
        ratio = statistics.median(ratios)
        spread = f"{ratio:.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        print(f"{kind:8}{change('p99_us', 5)}  {spread:19} {'ok' if ratio <= LIMIT else 'OVER':4}"
              f"{change('p50_us', 5)}{change('own_delay_p99_us', 4)}"
              f"{change('server_cpu', 5, 1, 100)}  {median(abuse, 'abuse_ops') / self.seconds:7.0f}"
              f" {median(calm, 'per_s'):7.0f}  {len(pairs)}/{count}", flush=True)


def stay_awake():
    """Idle CPUs poll while this descriptor is open; None: they do not."""
    try:
        awake = os.open("/dev/cpu_dma_latency", os.O_WRONLY)
        os.write(awake, bytes(4))
        return awake
    except OSError as error:
        print(f"idle CPUs halt, and others may go first: {error}")
        return None


def main():
    parser = argparse.ArgumentParser(description="what abuse costs the well-behaved")
    parser.add_argument("--pairs", type=int, default=10, help="for each kind (10)")
    parser.add_argument("--seconds", type=float, default=2, help="of a window (2)")
    parser.add_argument("--minutes", type=float, default=8, help="at most, all in all (8)")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every pair")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    options = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        sys.exit("two CPUs are needed")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    awake = stay_awake()
    begin = time.monotonic()
    kinds = options.kinds or KINDS
    spare = options.minutes * 60 - 10
    spare -= len(kinds) * options.pairs * (2 * options.seconds + PAIR_EXTRA)
    bench = Bench(cpus, options, spare / len(kinds))
    try:
        print(f"pairs of windows of {options.seconds:g} s, paced at half of the speed, now "
              f"{bench.capacity():.0f} messages/s\n"
              "medians, without -> with abuse; times in us; delay: the clients' own\n"
              f"{'kind':8}{'p99':^15}  {'ratio (range)':24}{'p50':^15}{'delay':^13}"
              f"{'server CPU %':^15}  {'abuse/s':>7} {'mail/s':>7}  pairs", flush=True)
        for kind in kinds:
            bench.compare(kind, options.pairs)
    finally:
        status = bench.stop()
    if awake is not None:
        os.close(awake)
    print(f"server's exit status {status}; {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
