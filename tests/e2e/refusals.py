"""Whoever is refused is told so: at the limit of connections, in a flood, at the end of a drain."""
import os
import pwd
import resource
import selectors
import signal
import socket
import time

from lib_mxring import Client, config, equal, mxring, run, serve


def collect(sockets, seconds=20):
    """What each of them receives until it is closed, or until it has a whole line."""
    selector = selectors.DefaultSelector()
    got = {}
    for one in sockets:
        one.setblocking(False)
        selector.register(one, selectors.EVENT_READ)
        got[one] = b""
    end = time.monotonic() + seconds
    while selector.get_map() and time.monotonic() < end:
        for key, _ in selector.select(0.2):
            try:
                data = key.fileobj.recv(65536)
            except ConnectionResetError:
                data = b""
            got[key.fileobj] += data
            if not data or b"\r\n" in got[key.fileobj]:
                selector.unregister(key.fileobj)
    return list(got.values())


def flood(engine, count=300, limit=10):
    """Greetings of so many clients that all come while the server is stopped."""
    path = config(engine=f"{engine} maxConnections: {limit}", smtp="connectionBacklog: 512")
    with serve(path) as server:
        os.kill(server.process.pid, signal.SIGSTOP)
        sockets = [socket.create_connection(server.addresses[0], 10) for _ in range(count)]
        os.kill(server.process.pid, signal.SIGCONT)
        lines = collect(sockets)
        for one in sockets:
            one.close()
        server.stop()
    return lines


def check_flood(engine):
    lines = flood(engine)
    codes = [line[:3] for line in lines]
    equal(codes.count(b"220"), 10, "greeted")
    equal(codes.count(b"421"), 290, "refused with a word")


def test_everybody_over_max_connections_gets_421():
    check_flood("")


def test_everybody_over_max_connections_gets_421_on_normal_descriptors():
    check_flood("directDescriptors: false,")


def test_the_last_word_reaches_a_client_that_still_sends():
    """maxErrors in a flood of pipelined commands: input that nobody reads must not become a reset."""
    with serve(config(smtp="maxErrors: 100")) as server, Client(server.addresses[0]) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        child = os.fork()
        if child == 0:
            try:
                client.send(b"NOOP\r\n" * 50000 + b"FOO\r\n" * 101)
            except OSError:
                pass
            finally:
                os._exit(0)
        time.sleep(0.6)
        replies = client.file.read().split(b"\r\n")
        os.waitpid(child, 0)
        equal(sum(line.startswith(b"250 ") for line in replies), 50000, "replies to NOOP")
        equal(sum(line.startswith(b"500 ") for line in replies), 100, "errors")
        assert replies[-2].startswith(b"421 4.7.0"), replies[-2:]
        server.stop()


def end_of_drain(timeout):
    with serve(config(engine=f"drainTimeout: {timeout}")) as server:
        with Client(server.addresses[0]) as idle, Client(server.addresses[0]) as busy:
            idle.command("EHLO client.example", "250")
            busy.envelope()
            busy.command("DATA", "354")
            server.signal()
            idle.expect("421 4.3.2")
            idle.expect_end()
            busy.expect("421 4.3.2")
            busy.expect_end()
        equal(server.wait(), 0)


def test_the_end_of_a_drain_says_421():
    end_of_drain("1s")


def test_no_drain_at_all_says_421():
    end_of_drain("0")


def test_nobody_starves_beside_parked_receivers():
    """Few receive buffers, many senders that stop in the middle: others are served all the same."""
    path = config(engine="recvBuffers: 16, recvBufferSize: 4K, directDescriptors: true")
    with serve(path) as server:
        senders = []
        for _ in range(60):
            sender = Client(server.addresses[0])
            sender.envelope()
            sender.command("DATA", "354")
            senders.append(sender)
        for sender in senders:
            sender.send((b"x" * 998 + b"\r\n") * 300)
        with Client(server.addresses[0]) as bystander:
            for _ in range(50):
                bystander.command("NOOP", "250")
        for sender in senders:
            sender.send(".\r\n")
        for sender in senders:
            sender.expect("250 2.6.0")
            sender.close()
        server.stop()


# ---- what the log says of it

def test_limits_are_logged_but_not_each():
    with serve(config(smtp="connectionLimit: 1")) as server:
        with Client(server.addresses[0]):
            for _ in range(100):
                Client(server.addresses[0], greeting="421").close()
        server.stop()
        lines = [line for line in server.lines if "event=limit row=connectionLimit" in line
                 or ("event=limit" in line and "row=connectionLimit" in line)]
        assert 1 <= len(lines) <= 80, len(lines)
        assert "peer=127.0.0.1" in lines[0] or "id=" in lines[0], lines[0]


def test_events_of_a_session():
    with serve(config(more="log: {level: debug}")) as server:
        with Client(server.addresses[0]) as client:
            client.message()
            client.command("QUIT", "221")
        server.stop()
        for event, text in (("connect", "peer=127.0.0.1"), ("message", "from=a@example.org"),
                            ("disconnect", "transactions=1")):
            assert any(f"event={event}" in line and text in line for line in server.lines), event


# ---- what an intruder would find

def is_sanitized(server):
    with open(f"/proc/{server.process.pid}/maps", encoding="ascii") as file:
        return any(name in line for line in file for name in ("libasan", "libtsan"))


def test_workers_are_confined():
    with serve(config()) as server:
        with Client(server.addresses[0]) as client:
            client.message()
            if not is_sanitized(server):
                check_threads(server)
        server.stop()


def check_threads(server):
    confined = 0
    folder = f"/proc/{server.process.pid}/task"
    for thread in os.listdir(folder):
        with open(f"{folder}/{thread}/status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        if status["Name"].startswith("mxring-"):
            equal(status["Seccomp"], "2", "Seccomp")
            equal(status["NoNewPrivs"], "1", "NoNewPrivs")
            confined += status["Name"][len("mxring-"):].isdigit()
    equal(confined, 2, "workers")


def test_it_becomes_another_user():
    if os.geteuid() != 0:
        print("not root: nobody to become")
        return
    with serve(config(engine="user: nobody")) as server:
        with Client(server.addresses[0]) as client:
            client.message()
        folder = f"/proc/{server.process.pid}/task"
        for thread in os.listdir(folder):
            with open(f"{folder}/{thread}/status", encoding="ascii") as file:
                uids = [line.split()[1:] for line in file if line.startswith("Uid:")][0]
            equal(set(uids), {str(pwd.getpwnam("nobody").pw_uid)}, thread)
        server.stop()


def test_there_is_no_such_user():
    result = mxring("serve", "-c", config(engine="user: no-such-user-here"))
    equal(result.returncode, 78, result.stderr)
    assert "engine.user" in result.stderr, result.stderr


_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard > 0 else 4096, hard))
run(globals())
