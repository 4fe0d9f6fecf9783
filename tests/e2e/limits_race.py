"""connectionLimit is exact, whoever comes at the same time and to whichever worker."""
import resource
import selectors
import socket
import threading
import time

from lib_mxring import SLOW, config, equal, eventually, run, serve, skip

RACERS, THREADS = 500, 10
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
if most < 4 * RACERS:
    skip(f"only {most} descriptors")


class Race:
    """All connect at once and wait for one line; `admitted` stay, the others must hear 421."""

    def __init__(self, address):
        self.sockets = [socket.socket() for _ in range(RACERS)]
        self.admitted, self.refused, self.other = [], 0, []
        barrier = threading.Barrier(THREADS)

        def connect(part):
            barrier.wait()
            for client in part:
                client.settimeout(SLOW)
                client.connect(address)

        threads = [threading.Thread(target=connect, args=(self.sockets[i::THREADS],))
                   for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._read_all()

    def _read_all(self):
        waiting = selectors.DefaultSelector()
        for client in self.sockets:
            waiting.register(client, selectors.EVENT_READ)
        end = time.monotonic() + SLOW
        while waiting.get_map() and time.monotonic() < end:
            for key, _ in waiting.select(1):
                waiting.unregister(key.fileobj)
                line = key.fileobj.recv(200)
                if line.startswith(b"220 "):
                    self.admitted.append(key.fileobj)
                elif line == b"421 4.7.0 mx.example Too many connections\r\n":
                    self.refused += 1
                else:
                    self.other.append(line)

    def close(self, clients=None):
        for client in self.sockets if clients is None else clients:
            client.close()


def race(address, limit):
    """How many were admitted; all got an answer."""
    result = Race(address)
    equal(result.other, [], "answers of another kind")
    equal(len(result.admitted) + result.refused, RACERS, "answers")
    assert len(result.admitted) <= limit, f"{len(result.admitted)} are in, the limit is {limit}"
    return result


def check(limit, **how):
    with serve(config(**how)) as server:
        first = race(server.addresses[0], limit)
        equal(len(first.admitted), limit, "of the first race")
        # those who are in still are, and nobody else comes in
        second = race(server.addresses[0], limit)
        equal(len(second.admitted), 0, "while all places are taken")
        second.close()
        # ten leave: ten places
        first.close(first.admitted[:10])
        places = []

        def fill():
            more = race(server.addresses[0], 10 - len(places))
            places.extend(more.admitted)
            more.close([client for client in more.sockets if client not in more.admitted])
            return len(places) == 10

        eventually(fill, "ten places")
        first.close()
        for client in places:
            client.close()

        def again():
            last = race(server.addresses[0], limit)
            count = len(last.admitted)
            last.close()
            return count == limit

        eventually(again, f"{limit} places when all have left")
        server.stop()


def test_connection_limit():
    check(100, smtp="connectionLimit: 100")


def test_connection_limit_per_ip():
    check(100, smtp="connectionLimitPerIP: 100")


def test_max_connections():
    check(100, engine="maxConnections: 100")


run(globals())
