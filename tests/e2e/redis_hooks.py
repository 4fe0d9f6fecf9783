"""Greylist and rate limits that two gateways share in a Redis server: one counts what the other has
seen; and what they do when the server is gone, hangs, refuses or starts anew."""
import re

from lib_mxring import Client, equal, eventually, run, serve, write_config
from lib_redis import Redis, free_port

NEW = "451 4.4.3 Temporary rejected: Please try again later"
EARLY = "451 4.4.3 Temporary rejected: Reconnect to fast. Please try again later"
FULL = "451 4.7.1 Too many recipients in a short time. Please try again later"
UNKNOWN = "451 4.7.1 Temporary problem. Please try again later"


def config(chain, port, redis=""):
    return write_config(f"""\
engine: {{workers: 2}}
domains: [example.com]
spool: {{durability: none}}
redis: {{server: "127.0.0.1:{port}"{redis}}}
smtpservers:
  - bind: "127.0.0.1:0"
    helloName: mx.example
    verifyIdentity: disabled
    maxErrors: 0
    handlerchain: [{chain}]
""")


def rate(count, more=""):
    return f"{{RateLimit: {{per: sender, count: {count}, period: 1h, store: redis{more}}}}}"


def greylist(block="1h", more=""):
    return (f"{{JDBCGreylistHandler: {{tempBlockTime: {block}, unseenLifeTime: 4h, store: redis"
            f"{more}}}}}")


class Session(Client):
    def __init__(self, server, sender="a@x.test"):
        super().__init__((server.host, server.port))
        self.command("EHLO client.test", "250")
        self.begin(sender)

    def begin(self, sender):
        self.command("RSET", "250")
        self.command(f"MAIL FROM:<{sender}>", "250")

    def rcpt(self, recipient="bob@example.com"):
        self.send(f"RCPT TO:<{recipient}>\r\n")
        return self.reply().rstrip()


def totals(server):
    """What was counted of Redis. The server ends."""
    server.stop()
    line = next(line for line in server.lines if "event=redis questions=" in line)
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)\b", line)}


def test_a_limit_for_both():
    with Redis() as redis:
        path = config(rate(5), redis.port)
        with serve(path) as one, serve(path) as two:
            with Session(one) as first, Session(two) as second:
                replies = [session.rcpt()[:3] for session in (first, second, first, second, first)]
                equal(replies, ["250"] * 5, "five tokens, by turns")
                equal(second.rcpt(), FULL, "the sixth")
                equal(first.rcpt(), FULL, "the seventh")
                second.begin("other@x.test")
                equal(second.rcpt()[:3], "250", "another sender")
            counted = [totals(one), totals(two)]
            equal(sum(row["questions"] for row in counted), 8, counted)
            equal([row["failed"] for row in counted], [0, 0], counted)
        equal(redis.command("DBSIZE"), b":2\r\n", "a key for each sender")


def test_a_bucket_fills():
    with Redis() as redis:
        chain = "{RateLimit: {per: sender, count: 2, period: 1s, store: redis}}"
        with serve(config(chain, redis.port)) as server, Session(server) as session:
            eventually(lambda: session.rcpt() == FULL, "it is empty")
            eventually(lambda: session.rcpt()[:3] == "250", "there is another token")
            session.close()
            eventually(lambda: redis.command("DBSIZE") == b":0\r\n", "a full bucket is forgotten")
            server.stop()


def test_a_greylist_for_both():
    with Redis() as redis:
        path = config(greylist("1s"), redis.port)
        with serve(path) as one, serve(path) as two:
            with Session(one) as first, Session(two) as second:
                equal(first.rcpt(), NEW, "new")
                equal(second.rcpt("BOB@Example.com"), EARLY, "the other one knows it")
                eventually(lambda: second.rcpt()[:3] == "250", "it has come again")
                equal(first.rcpt()[:3], "250", "known to both")
                equal(first.rcpt("alice@example.com"), NEW, "another recipient")
            one.stop()
            two.stop()
        with serve(path) as again, Session(again) as session:
            equal(session.rcpt()[:3], "250", "known behind a restart")
            session.close()
            again.stop()


def test_gone_and_back():
    with Redis() as redis:
        for word, wanted in (("accept", "250"), ("tempfail", UNKNOWN), ("reject", "550")):
            redis.command("FLUSHALL")
            with serve(config(rate(1, f", onFailure: {word}"), redis.port)) as server:
                with Session(server) as session:
                    equal(session.rcpt()[:3], "250", "a token")
                    equal(session.rcpt(), FULL, "no token")
                    redis.stop()
                    for _ in range(6):
                        equal(session.rcpt()[:len(wanted)], wanted, f"gone, {word}")
                    eventually(lambda: server.logged("state=\"gone"), "the log says so")
                    redis.start()
                    eventually(lambda: session.rcpt() == FULL, "it counts again")
                    eventually(lambda: server.logged("answers again"), "the log says so")
                counted = totals(server)
                assert counted["failed"] >= 6 and counted["connect_failures"] > 0, counted


def test_it_hangs():
    """Each question is answered within the hook's time, and most at once."""
    with Redis() as redis:
        chain = rate(1000, ", onFailure: tempfail, timeout: 1s")
        with serve(config(chain, redis.port, ", timeout: 200ms")) as server:
            with Session(server) as session:
                equal(session.rcpt()[:3], "250", "a token")
                redis.freeze()
                for _ in range(8):
                    equal(session.rcpt(), UNKNOWN, "it hangs")
                redis.thaw()
                eventually(lambda: session.rcpt()[:3] == "250", "it goes on")
            counted = totals(server)
            assert counted["broken"] > 0 and counted["failed"] >= 8, counted


def test_never_there():
    with serve(config(rate(1), free_port())) as server, Session(server) as session:
        equal([session.rcpt()[:3] for _ in range(3)], ["250"] * 3, "accept is the default")
        session.close()
        equal(totals(server)["answered"], 0)


def test_it_forgets_the_scripts_and_closes_connections():
    with Redis() as redis:
        with serve(config(rate(100), redis.port)) as server, Session(server) as session:
            for word in (("SCRIPT", "FLUSH"), ("CLIENT", "KILL", "TYPE", "normal"), ("PING",)) * 3:
                redis.command(*word)
                equal(session.rcpt()[:3], "250", word)
            session.close()
            counted = totals(server)
            equal((counted["failed"], counted["answered"]), (0, 9), counted)


def test_it_refuses():
    with Redis("--requirepass", "secret") as redis:
        chain = rate(1, ", onFailure: tempfail")
        for more, why in (("", "NOAUTH"), (", password: no", "WRONGPASS")):
            with serve(config(chain, redis.port, more)) as server, Session(server) as session:
                eventually(lambda: session.rcpt() != UNKNOWN or server.logged("state=\"gone"),
                           "the log says that nobody answers")
                assert any("state=\"gone" in line and why in line for line in server.lines), \
                    server.lines
                session.close()
                server.stop()
        for more in (", password: secret", ", user: default, password: secret, database: 3"):
            with serve(config(chain, redis.port, more)) as server, Session(server) as session:
                equal(session.rcpt()[:3], "250", more)
                equal(session.rcpt(), FULL, more)
                session.close()
                server.stop()


def test_wrong_kind_of_key():
    """Somebody else's data under our name: an error, not a crash."""
    with Redis() as redis:
        with serve(config(rate(5, ", onFailure: tempfail"), redis.port)) as server:
            with Session(server) as session:
                equal(session.rcpt()[:3], "250", "a token")
                key = redis.command("RANDOMKEY").split(b"\r\n")[1]
                assert key.startswith(b"mxring:rate:"), key
                redis.command("SET", key, "something")
                equal(session.rcpt(), UNKNOWN, "no hash")
                redis.command("DEL", key)
                equal(session.rcpt()[:3], "250", "and again")
            counted = totals(server)
            equal((counted["errors"], counted["broken"]), (1, 0), counted)


def test_many_at_a_time():
    """No token is given twice, whoever asks."""
    with Redis() as redis:
        path = config(rate(40), redis.port)
        with serve(path) as one, serve(path) as two:
            sessions = [Session(server) for server in (one, two) for _ in range(8)]
            for session in sessions:
                session.send("RCPT TO:<bob@example.com>\r\n" * 5)
            replies = [session.reply().rstrip() for session in sessions for _ in range(5)]
            equal((sum(reply.startswith("250") for reply in replies),
                   sum(reply == FULL for reply in replies)), (40, 40))
            for session in sessions:
                session.close()
            one.stop()
            two.stop()


run(globals())
