"""Logins on the real server: all hashes, SCRAM both ways, helpers that are busy, clients that leave, and
a worker that serves others meanwhile."""
import json
import os
import signal
import socket
import tempfile

import lib_auth
from lib_mxring import Client, equal, eventually, mxring, run, serve, write_config

ALL = ["yescrypt", "gost-yescrypt", "bcrypt", "sha512crypt", "pbkdf2-sha512", "scram-sha-256", "plain"]


def test_every_hash():
    with lib_auth.server(lib_auth.users(*ALL)) as server:
        for number in range(len(ALL)):
            user = f"User{number}@Example.com"
            with Client(server.addresses[0]) as client:
                client.command("EHLO client.example", "250")
                client.command(lib_auth.plain(user, "wrong"), "535")
                client.command(lib_auth.plain(user), "235")
                client.command("AUTH PLAIN", "503")
                client.message(sender=user, recipients=["x@example.net"])
        server.stop()


def test_scram():
    kinds = ["scram-sha-256", "plain"]
    with lib_auth.server(lib_auth.users(*kinds), auth="announce: always, plainAuthEnabled: false") as server:
        nonces = set()
        for number in range(2):
            with Client(server.addresses[0]) as client:
                reply = client.command("EHLO client.example", "250")
                assert "250-AUTH SCRAM-SHA-256\r\n250-AUTH=SCRAM-SHA-256\r\n" in reply, reply
                user = f"user{number}@example.com"
                for wrong in ((user, "wrong"), ("nobody@example.com", lib_auth.PASSWORD)):
                    assert lib_auth.scram(client, *wrong).startswith("535 "), wrong
                assert lib_auth.scram(client, user.upper()).startswith("235 "), user
        with Client(server.addresses[0]) as client:  # who is not there looks as if he were
            for user in ("user1@example.com", "nobody@example.com"):
                salts = set()
                for _ in range(2):
                    client.send("AUTH SCRAM-SHA-256 " + lib_auth.encode(f"n,,n={user},r=abc") + "\r\n")
                    first = lib_auth.decode(client.expect("334 ")[4:].strip()).decode()
                    nonce, salt, _ = first.split(",")
                    nonces.add(nonce)
                    salts.add(salt)
                    client.command("*", "501")
                equal(len(salts), 1, f"salts of {user}")
        equal(len(nonces), 4, "nonces")
        server.stop()


def test_what_the_spool_keeps():
    """Who was logged in, how, and what AUTH= of MAIL said, as far as that counts (RFC 4954 5)."""
    users = lib_auth.users("scram-sha-256", "plain")
    cases = [  # login, parameters of MAIL, what is kept
        (None, "", {}),
        (None, " AUTH=<>", {"authParameter": "<>"}),
        (None, " AUTH=user0@example.com", {"authParameter": "<>"}),
        (lib_auth.plain, "", {"authUser": "User1@example.com", "authMechanism": "PLAIN"}),
        (lib_auth.plain, " AUTH=<> SIZE=100",
         {"authUser": "User1@example.com", "authMechanism": "PLAIN", "authParameter": "<>"}),
        (lib_auth.scram, " auth=e+3Dmc2@example.net BODY=8BITMIME",
         {"authUser": "User1@example.com", "authMechanism": "SCRAM-SHA-256", "authParameter": "e=mc2@example.net"}),
        (lib_auth.plain, " AUTH=e=mc2@example.net",
         {"authUser": "User1@example.com", "authMechanism": "PLAIN", "authParameter": "<>"}),
        (lib_auth.plain, " AUTH=" + "+41" * 600 + "@example.net",
         {"authUser": "User1@example.com", "authMechanism": "PLAIN", "authParameter": "<>"}),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = write_config(f"""\
engine: {{workers: 1}}
domains: [example.com]
users: {users}
spool: {{directory: {folder}/spool, segmentSize: 4M, reserve: 0}}
smtpservers:
  - {{bind: '127.0.0.1:0', handlerchain: [], helloName: mx.example, verifyIdentity: disabled}}
""")
        with serve(path) as server:
            for login, parameters, _ in cases:
                with Client(server.addresses[0]) as client:
                    client.command("EHLO client.example", "250")
                    if login is lib_auth.plain:
                        client.command(login("User1@example.com"), "235")
                    elif login:
                        assert login(client, "User1@example.com").startswith("235 ")
                    client.command("MAIL FROM:<a@example.org>" + parameters, "250")
                    client.command("RCPT TO:<bob@example.com>", "250")
                    client.command("DATA", "354")
                    client.command("Subject: x\r\n\r\nx\r\n.", "250")
            server.stop()
        lines = [json.loads(line) for line in mxring("spool", "ls", "--json", f"{folder}/spool").stdout.splitlines()]
        equal([line["authenticated"] for line in lines], [login is not None for login, _, _ in cases])
        for (login, parameters, wanted), line in zip(cases, lines):
            found = json.loads(mxring("spool", "cat", "--envelope", f"{folder}/spool", line["id"]).stdout)
            equal({key: value for key, value in found.items() if key.startswith("auth")}, wanted, parameters)
            equal("auth" in found["flags"], login is not None, parameters)
            head = mxring("spool", "cat", f"{folder}/spool", line["id"]).stdout
            assert (" with ESMTPA ID " if login else " with ESMTP ID ") in head, head


def test_busy_helpers():
    """One helper, one place in the queue: the third login hears 454, and can come again."""
    with lib_auth.server(lib_auth.users("sha512crypt"), engine="helperThreads: 1, helperQueue: 1",
                         smtp="maxAuthFailures: 0") as server:
        clients = [Client(server.addresses[0]) for _ in range(8)]
        for client in clients:
            client.send(lib_auth.plain("user0@example.com") + "\r\n")
        codes = [client.reply()[:3] for client in clients]
        assert set(codes) == {"235", "454"}, codes
        for client, code in zip(clients, codes):
            if code == "454":
                reply = eventually(lambda: again(client), "a free helper")
                assert reply.startswith("235 "), reply
            client.close()
        assert server.logged("row=engine.helperQueue"), server.lines
        server.stop()


def again(client):
    client.send(lib_auth.plain("user0@example.com") + "\r\n")
    reply = client.reply()
    return None if reply.startswith("454 ") else reply


def test_worker_serves_others_meanwhile():
    """Many dear logins wait; whoever wants none gets a whole message through before they are done."""
    with lib_auth.server(lib_auth.users("sha512crypt"), engine="helperThreads: 1") as server:
        waiting = [Client(server.addresses[0]) for _ in range(40)]
        for client in waiting:
            client.send(lib_auth.plain("user0@example.com") + "\r\n")
        with Client(server.addresses[0]) as other:
            other.message()
        waiting[-1].socket.setblocking(False)
        try:
            early = waiting[-1].socket.recv(100, socket.MSG_PEEK)
        except BlockingIOError:
            early = b""
        equal(early, b"", "the last login was answered before the message")
        waiting[-1].socket.settimeout(60)
        for client in waiting:
            client.socket.settimeout(60)
            client.expect("235")
            client.close()
        server.stop()


def test_clients_leave_while_helpers_work():
    with lib_auth.server(lib_auth.users("bcrypt"), engine="helperThreads: 1") as server:
        for number in range(30):
            client = Client(server.addresses[0])
            client.send(lib_auth.plain("user0@example.com") + "\r\n")
            if number % 2:  # a reset
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        with Client(server.addresses[0]) as client:
            reply = eventually(lambda: again(client), "a free helper", 60)
            assert reply.startswith("235 "), reply
        server.stop()


def test_drain_waits_for_a_login():
    with lib_auth.server(lib_auth.users("sha512crypt"), engine="helperThreads: 1") as server:
        clients = [Client(server.addresses[0]) for _ in range(4)]
        for client in clients:
            client.send(lib_auth.plain("user0@example.com") + "\r\n")
        server.signal()
        for client in clients:
            reply = client.reply()
            if reply.startswith("235 "):
                reply = client.expect("421 4.3.2")
            assert reply.startswith("421 4.3.2"), reply  # its login had not arrived yet
            client.expect_end()
        equal(server.wait(), 0, "exit status")


def test_second_sigterm_ends_with_logins_under_way():
    with lib_auth.server(lib_auth.users("sha512crypt"), engine="helperThreads: 1") as server:
        clients = [Client(server.addresses[0]) for _ in range(10)]
        for client in clients:
            client.send(lib_auth.plain("user0@example.com") + "\r\n")
        eventually(lambda: server.logged("event=auth"), "the first login", 60)
        server.signal()
        eventually(lambda: server.logged("event=draining"), "draining")
        server.signal()
        equal(server.wait(), 0, "exit status")


def test_reload_brings_users():
    """Who was logged in stays; new passwords count for new logins; a bad file changes nothing."""
    path = lib_auth.users("plain")
    with lib_auth.server(path) as server, Client(server.addresses[0]) as old:
        old.command("EHLO client.example", "250")
        old.command(lib_auth.plain("user0@example.com"), "235")
        replace(path, "user0@example.com:{PLAIN}other\n")
        server.signal(signal.SIGHUP)
        eventually(lambda: accepts(server, "other"), "the new password")
        assert not accepts(server, lib_auth.PASSWORD)
        old.message(recipients=["x@example.net"])
        replace(path, "user0@example.com\n")
        server.signal(signal.SIGHUP)
        eventually(lambda: server.logged("user@domain:HASH"), "the complaint")
        assert accepts(server, "other")
        server.stop()


def replace(path, text):
    """As an editor does: the file is never half written."""
    with open(os.open(path + ".new", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w",
              encoding="ascii") as file:
        file.write(text)
    os.rename(path + ".new", path)


def accepts(server, password):
    with Client(server.addresses[0]) as client:
        client.send(lib_auth.plain("user0@example.com", password) + "\r\n")
        reply = client.reply()
        assert reply[:3] in ("235", "535"), reply
        return reply.startswith("235 ")


run(globals())
