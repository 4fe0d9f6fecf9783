"""Connections are spread over the workers, not left to the kernel's hash."""
from lib_mxring import Client, equal, run, sink


def served(count, workers):
    with sink("--workers", str(workers)) as server:
        clients = []
        for _ in range(count):  # one after the other, all stay open
            client = Client(server.addresses[0])
            client.command("EHLO client.example", "250")
            clients.append(client)
        for client in clients:
            client.message()
        for client in clients:
            client.command("QUIT", "221")
            client.close()
        totals = server.stop()
    equal(totals["messages"], count)
    equal(sum(totals["worker_connections"]), count, totals["worker_connections"])
    return totals


def test_sixteen_over_two_workers():
    for _ in range(5):  # the hash of the ports is another one each time
        totals = served(16, 2)
        assert all(7 <= n <= 9 for n in totals["worker_connections"]), totals


def test_handed_connections_are_counted():
    handed = sum(served(16, 2)["counters"]["connections_handed"] for _ in range(3))
    assert 0 < handed < 48, handed


def test_one_worker_keeps_all():
    equal(served(8, 1)["worker_connections"], [8])


def test_many_over_two_workers():
    totals = served(200, 2)
    assert all(98 <= n <= 102 for n in totals["worker_connections"]), totals


run(globals())
