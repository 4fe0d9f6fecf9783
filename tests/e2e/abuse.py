"""A thousand clients that mean harm, and some that do not.

Correctness and memory, no times: every well-behaved message gets its 250, the server stays below
its bound, every client that is refused is told so, and afterwards all places are free again.
"""
import asyncio
import os
import random
import re
import resource
import socket
import struct
import sys
import time

from lib_mxring import config, equal, run, serve

SECONDS = float(os.environ.get("MX_ABUSE_SECONDS", "20"))
EACH_KIND = 167  # clients; there are six kinds, each with an address of its own
PER_IP = 120     # so that some of each kind are refused at the door
LIMIT = 1200
GOOD_CLIENTS = 10
SESSION_MEMORY_MIB = 64
WORKERS = 2
RECV_BUFFERS_MIB = 8
FIXED_MIB = 40  # program, stacks, tables of connections
GREETINGS = (b"220", b"421")


class Tally:
    """What happened to the clients of one kind."""

    def __init__(self):
        self.connections = self.refused = 0
        self.replies = {}

    def note(self, reply):
        code = reply[:3].decode("ascii", "replace")
        self.replies[code] = self.replies.get(code, 0) + 1


class Abuser:
    def __init__(self, address, source, tally, end):
        self.address, self.source, self.tally, self.end = address, source, tally, end

    def is_over(self):
        return time.monotonic() >= self.end

    async def live(self, behave):
        """Connect, misbehave, again and again."""
        while not self.is_over():
            writer = None
            try:
                reader, writer = await asyncio.open_connection(
                    *self.address, local_addr=(self.source, 0))
                greeting = await asyncio.wait_for(reader.readline(), 30)
                assert greeting[:3] in GREETINGS, greeting
                self.tally.connections += 1
                if greeting.startswith(b"421"):
                    self.tally.refused += 1
                    equal(await reader.read(), b"", "behind the 421")
                    await asyncio.sleep(2)
                    continue
                await behave(self, reader, writer)
            except (ConnectionError, TimeoutError, asyncio.TimeoutError):
                pass  # the server has had enough of it
            finally:
                if writer:
                    writer.transport.abort()
            await asyncio.sleep(random.uniform(0.05, 0.2))

    async def push(self, writer, data):
        writer.write(data)
        await asyncio.wait_for(writer.drain(), max(0.1, self.end - time.monotonic()))


async def endless_line(self, reader, writer):
    told = asyncio.ensure_future(read_replies(self, reader))
    while not self.is_over() and not told.done():
        await self.push(writer, b"x" * 4096)
        await asyncio.sleep(0.2)
    told.cancel()


async def endless_commands(self, reader, writer):
    told = asyncio.ensure_future(read_replies(self, reader))
    while not self.is_over() and not told.done():
        await self.push(writer, b"NOOP\r\nRSET\r\nFOO\r\n" * 20)
        await asyncio.sleep(0.2)
    told.cancel()


async def dribble(self, reader, writer):
    told = asyncio.ensure_future(read_replies(self, reader))
    while not self.is_over() and not told.done():
        await self.push(writer, random.choice(b"EHLO \r\n").to_bytes(1, "big"))
        await asyncio.sleep(1)
    told.cancel()


async def read_replies(self, reader):
    while line := await reader.readline():
        assert line.endswith(b"\r\n") and line[:3].isdigit(), line
        self.tally.note(line)


async def large_body(self, reader, writer):
    writer.write(b"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n")
    while not (await asyncio.wait_for(reader.readline(), 30)).startswith(b"354"):
        pass
    left = 50 << 20
    block = (b"y" * 998 + b"\r\n") * 64
    while left > 0 and not self.is_over():
        await self.push(writer, block)
        left -= len(block)
        await asyncio.sleep(0.05)
    writer.write(b".\r\n")
    reply = await asyncio.wait_for(reader.readline(), 30)
    assert reply.startswith(b"552"), reply
    self.tally.note(reply)


async def reset(self, _, writer):
    writer.write(random.choice([b"", b"EHLO x", b"EHLO x\r\n", b"FOO\r\n" * 30, b"x" * 9000]))
    await asyncio.sleep(random.uniform(0, 0.2))
    # linger 0: close sends a reset
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                               struct.pack("ii", 1, 0))


async def never_read(self, _, writer):
    writer.transport.pause_reading()
    while not self.is_over():
        await self.push(writer, b"EHLO x.example\r\nNOOP\r\n" * 200)
        await asyncio.sleep(0.1)


KINDS = (endless_line, endless_commands, dribble, large_body, reset, never_read)


async def good_client(address, end, counts):
    """One message after the other, each over a connection of its own."""
    while time.monotonic() < end:
        reader, writer = await asyncio.open_connection(*address)

        async def expect(code, reader=reader):
            while True:
                line = await asyncio.wait_for(reader.readline(), 60)
                assert line.startswith(code), f"a good client got {line!r}, not {code!r}"
                if line[3:4] == b" ":
                    return
        counts["sent"] += 1
        await expect(b"220")
        for line, code in ((b"EHLO good.example", b"250"), (b"MAIL FROM:<g@example.org>", b"250"),
                           (b"RCPT TO:<bob@example.com>", b"250"), (b"DATA", b"354"),
                           (b"Subject: x\r\n\r\n" + b"z" * 4000 + b"\r\n.", b"250 2.6.0"),
                           (b"QUIT", b"221")):
            writer.write(line + b"\r\n")
            await expect(code)
        counts["accepted"] += 1
        writer.close()
        await asyncio.sleep(0.05)


async def watch_memory(server, end, peak):
    while time.monotonic() < end:
        peak[0] = max(peak[0], server.rss_kib())
        assert server.process.poll() is None, "the server has ended"
        await asyncio.sleep(0.1)


async def attack(server):
    end = time.monotonic() + SECONDS
    tallies = {kind.__name__: Tally() for kind in KINDS}
    counts, peak = {"sent": 0, "accepted": 0}, [0]
    abusers = [asyncio.ensure_future(
        Abuser(server.addresses[0], f"127.0.0.{10 + i}", tallies[kind.__name__], end).live(kind))
        for i, kind in enumerate(KINDS) for _ in range(EACH_KIND)]
    good = [good_client(server.addresses[0], end, counts) for _ in range(GOOD_CLIENTS)]
    await asyncio.gather(watch_memory(server, end, peak), *good)
    done, pending = await asyncio.wait(abusers, timeout=15)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()  # an assertion of an abuser
    stuck = sorted(KINDS[i // EACH_KIND].__name__ for i, task in enumerate(abusers)
                   if task in pending)
    assert not stuck, f"the server neither answers nor closes for {len(stuck)}: {set(stuck)}"
    return tallies, counts, peak[0]


def is_sanitized(server):
    """The address sanitizer's memory is its own matter."""
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmPeak:\s+(\d+)", file.read())[1]) > 1 << 32


async def open_all(address, count):
    """Greetings of so many connections at once."""
    async def one(n):
        reader, writer = await asyncio.open_connection(
            *address, local_addr=(f"127.0.1.{n % 20}", 0))
        return (await asyncio.wait_for(reader.readline(), 60))[:3], writer
    opened = []
    for first in range(0, count, 100):
        opened += await asyncio.gather(*[one(n) for n in range(first, min(count, first + 100))])
    greetings = [greeting for greeting, _ in opened]
    for _, writer in opened:
        writer.transport.abort()
    return greetings


def check_replies(tallies):
    for name, tally in tallies.items():
        print(f"{name}: {tally.connections} connections, {tally.refused} refused, {tally.replies}")
        assert tally.connections >= EACH_KIND, name
        assert tally.refused > 0, f"{name}: the limit per address was never reached"
    for name, code in (("endless_line", "500"), ("endless_line", "421"),
                       ("endless_commands", "421"), ("dribble", "421"), ("large_body", "552")):
        assert tallies[name].replies.get(code, 0) > 0, f"{name} never heard {code}"


def test_abuse():
    path = config(
        engine=f"sessionMemory: {SESSION_MEMORY_MIB}M, recvBuffers: 512, maxConnections: 4096",
        smtp=f"connectionTimeout: 4s, dataTimeout: 10s, maxMessageSize: 1M, maxErrors: 50, "
             f"connectionLimit: {LIMIT}, connectionLimitPerIP: {PER_IP}")
    with serve(path) as server:
        tallies, counts, peak = asyncio.run(attack(server))
        bound = WORKERS * (SESSION_MEMORY_MIB + RECV_BUFFERS_MIB) + FIXED_MIB
        print(f"good messages: {counts}; memory: {peak / 1024:.1f} of {bound} MiB")
        equal(counts["accepted"], counts["sent"], "messages of the good")
        assert counts["sent"] > GOOD_CLIENTS
        check_replies(tallies)
        if is_sanitized(server):
            print("memory is not looked at: a sanitizer uses its own")
        else:
            assert peak <= bound * 1024, f"{peak} KiB"
        time.sleep(2)  # lingering connections end
        greetings = asyncio.run(open_all(server.addresses[0], LIMIT + 20))
        equal(greetings.count(b"220"), LIMIT, "all places are free again, and no more")
        equal(greetings.count(b"421"), 20)
        server.signal()
        equal(server.wait(), 0, "exit status")


_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if hard != resource.RLIM_INFINITY and hard < 4096:
    print("skipped: too few descriptors", file=sys.stderr)
    sys.exit(77)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384) if hard > 0 else 16384, hard))
run(globals())
