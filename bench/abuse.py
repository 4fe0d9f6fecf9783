#!/usr/bin/env python3
"""bench/abuse.py [--pairs N] [--seconds S] [KIND]... - what abuse costs the well-behaved.

A gateway with one worker on the first CPU; all clients on the second. Well-behaved clients send at
half of what they reach at full speed; the p99 of their latency (due time to the final 250) in a
window with abuse is compared with that of the window before it, without. A thousand abusive
connections, at most 20,000 commands a second. Needs two CPUs and nothing else running, and root:
the well-behaved go before the abusers on their common CPU (SCHED_FIFO), for it is the server that
is measured.
"""
import argparse
import gc
import multiprocessing
import os
import resource
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

TOP = os.path.realpath(f"{__file__}/../..")
MXRING = os.environ.get("MXRING") or f"{TOP}/build/mxring"
ABUSERS = 1000
GOOD = 32  # connections of the well-behaved
ENVELOPE = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n"
BODY = b"Subject: x\r\n\r\n" + b"z" * 4000 + b"\r\n.\r\n"
CONFIG = """\
engine: {workers: 1, drainTimeout: 1s}
domains: [example.com]
spool: {durability: none}
smtpservers:
  - {bind: "127.0.0.1:0", handlerchain: [], maxErrors: 0}
"""


class Kind:
    """opening: said once; chunk: said again and again, `rate` times a second by all together."""

    def __init__(self, opening, chunk, rate, reads=True, resets=False):
        self.opening, self.chunk, self.rate = opening, chunk, rate
        self.reads, self.resets = reads, resets


KINDS = {
    "lines": Kind(b"", b"x" * 4096, 2000),                      # 8 MB/s of one line
    "commands": Kind(b"EHLO x\r\n", b"NOOP\r\n" * 20, 1000),    # 20,000 commands/s
    "dribble": Kind(b"", b"x", ABUSERS),                        # one octet a second each
    "bodies": Kind(b"EHLO x\r\n" + ENVELOPE, (b"y" * 998 + b"\r\n") * 16, 1000),  # 16 MB/s
    "resets": Kind(b"EHLO x\r\n", b"", 500, resets=True),       # 500 connections/s
    "unread": Kind(b"", b"NOOP\r\n" * 20, 1000, reads=False),   # 20,000 commands/s, then none
}


class Crowd:
    """Abusive connections of one kind."""

    def __init__(self, address, kind, count, rate):
        self.address, self.kind, self.rate = address, kind, rate
        self.selector = selectors.DefaultSelector()
        self.members = [None if kind.resets else self.connect() for _ in range(count)]
        self.next = 0
        self.sent = 0

    def connect(self):
        member = socket.create_connection(self.address, 10)
        member.sendall(self.kind.opening)
        member.setblocking(False)
        if self.kind.reads:
            self.selector.register(member, selectors.EVENT_READ)
        return member

    def reset(self, index):
        if self.members[index] is not None:
            member = self.members[index]
            self.selector.unregister(member)
            member.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            member.close()
        self.members[index] = self.connect()

    def say(self, index):
        try:
            self.members[index].send(self.kind.chunk)
        except BlockingIOError:
            pass  # the server does not read from it any more
        except OSError:
            self.selector.unregister(self.members[index])
            self.members[index].close()
            self.members[index] = self.connect()

    def work(self, elapsed):
        """Say what is due, take in what has come."""
        due = min(int(elapsed * self.rate) - self.sent, len(self.members))
        for _ in range(max(0, due)):
            (self.reset if self.kind.resets else self.say)(self.next)
            self.next = (self.next + 1) % len(self.members)
            self.sent += 1
        for key, _ in self.selector.select(0):
            try:
                key.fileobj.recv(65536)
            except OSError:
                pass


def abuse(address, names, cpu, stop, ready):
    """A process: all crowds until told to stop."""
    os.sched_setaffinity(0, {cpu})
    os.nice(5)  # the well-behaved are measured, not these
    share = len(names)
    crowds = [Crowd(address, KINDS[name], ABUSERS // share,
                    KINDS[name].rate / (2 if share > 1 else 1)) for name in names]
    ready.set()
    begin = time.monotonic()
    while not stop.is_set():
        for crowd in crowds:
            crowd.work(time.monotonic() - begin)
        time.sleep(0.002)
    os._exit(0)


class Sender:
    """One connection of the well-behaved."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, 10)
        self.due = None
        self.left = 0  # replies still to come before the next step
        self.talk(b"", 1)
        self.talk(b"EHLO good.example\r\n", 1)
        self.socket.setblocking(False)

    def talk(self, text, replies):
        self.socket.sendall(text)
        while replies > 0:
            replies -= self.count(self.socket.recv(65536))

    @staticmethod
    def count(data):
        assert data, "the server has closed a well-behaved connection"
        lines = data.split(b"\r\n")[:-1]
        for line in lines:
            assert line[:1] in b"23", line
        return sum(line[3:4] == b" " for line in lines)

    def begin(self, due):
        self.due, self.left, self.has_body = due, 3, False
        self.socket.send(ENVELOPE)

    def on_input(self):
        """The latency when the message is through, else None."""
        self.left -= self.count(self.socket.recv(65536))
        if self.left > 0:
            return None
        if not self.has_body:
            self.has_body, self.left = True, 1
            self.socket.send(BODY)
            return None
        return time.monotonic() - self.due


def drive(senders, selector, seconds, rate):
    """Messages at this rate, None: as fast as can be. Latencies in seconds."""
    latencies, idle, sent = [], list(senders), 0
    begin = now = time.monotonic()
    while now < begin + seconds or len(idle) < len(senders):
        while idle and now < begin + seconds:
            due = now if rate is None else begin + sent / rate
            if due > now:
                break
            idle.pop().begin(due)
            sent += 1
        wait = 0.0005 if idle else 0.05
        for key, _ in selector.select(wait):
            latency = key.data.on_input()
            if latency is not None:
                latencies.append(latency)
                idle.append(key.data)
        now = time.monotonic()
    return latencies


def p99(latencies):
    return sorted(latencies)[int(len(latencies) * 0.99)]


def compare(address, names, options, cpus, load):
    """p99 with abuse over p99 without, of each pair of windows."""
    senders, selector = load
    ratios, calm, under = [], [], []
    for _ in range(options.pairs):
        # half of what a second would bring; each time anew: a virtual machine changes its speed
        rate = min(len(drive(senders, selector, 0.5, None)) for _ in range(2))
        calm.append(p99(drive(senders, selector, options.seconds, rate)))
        stop, ready = multiprocessing.Event(), multiprocessing.Event()
        child = multiprocessing.Process(target=abuse, args=(address, names, cpus[1], stop, ready))
        child.start()
        assert ready.wait(30), "the abusers do not get through"
        under.append(p99(drive(senders, selector, options.seconds, rate)))
        stop.set()
        child.join(30)
        ratios.append(under[-1] / calm[-1])
        time.sleep(0.3)
    print(f"{'+'.join(names) if len(names) < len(KINDS) else 'all':10} "
          f"p99 {statistics.median(calm) * 1e3:6.2f} ms -> {statistics.median(under) * 1e3:6.2f} ms"
          f"   ratio {statistics.median(ratios):5.2f} ({min(ratios):.2f}..{max(ratios):.2f})",
          flush=True)


def start(cpu):
    file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
    file.write(CONFIG)
    file.flush()
    server = subprocess.Popen(["taskset", "-c", str(cpu), MXRING, "serve", "-c", file.name],
                              stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        if "event=listening" in line:
            host, port = line.split("addr=")[1].split()[0].rsplit(":", 1)
            return server, (host, int(port)), file
    sys.exit("the server does not start")


def go_first():
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(10))
    except PermissionError:
        print("not root: abusers and well-behaved compete for their CPU, too", flush=True)


def main():
    parser = argparse.ArgumentParser(description="what abuse costs the well-behaved")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("kinds", nargs="*", metavar="KIND",
                        help=", ".join(KINDS) + ", all")
    options = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        sys.exit("two CPUs are needed")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    server, address, _ = start(cpus[0])
    os.sched_setaffinity(0, {cpus[1]})
    go_first()
    gc.disable()  # a collection would be somebody's latency
    try:
        senders = [Sender(address) for _ in range(GOOD)]
        selector = selectors.DefaultSelector()
        for sender in senders:
            selector.register(sender.socket, selectors.EVENT_READ, sender)
        capacity = len(drive(senders, selector, 2, None)) / 2
        print(f"about {capacity:.0f} messages/s with {GOOD} connections; paced at half of it; "
              f"{options.pairs} pairs of windows of {options.seconds} s", flush=True)
        for name in options.kinds or [*KINDS, "all"]:
            names = list(KINDS) if name == "all" else [name]
            compare(address, names, options, cpus, (senders, selector))
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
    print(f"server's exit status {server.returncode}")


if __name__ == "__main__":
    main()
