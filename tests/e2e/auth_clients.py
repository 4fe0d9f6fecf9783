"""People's mail programs log in and send: Python's smtplib, swaks, msmtp, s-nail. Each sends to a local
user without a login, is refused a foreign recipient then, relays when logged in, and is refused with a
wrong password. Where verifyIdentity is strict, it sends as who it is logged in as, and as nobody else.
What is not installed is left out."""
import os
import shutil
import smtplib
import subprocess

import lib_auth
from lib_mxring import equal, eventually, run

LOCAL, FOREIGN = "user1@example.com", "somebody@example.net"
USER = "user0@example.com"
MAIL = "From: user0@example.com\r\nTo: x@example.org\r\nSubject: x\r\n\r\ntext\r\n"


def smtplib_sends(server, recipient, login=None, mechanism="PLAIN"):
    with smtplib.SMTP(server.host, server.port, timeout=20) as client:
        client.ehlo("client.example")
        if login:
            client.user, client.password = login
            code, _ = client.auth(mechanism, getattr(client, "auth_" + mechanism.lower()))
            equal(code, 235, "login")
        client.sendmail(USER, [recipient], MAIL)


def program(*command, **how):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **how)
    return done.returncode, done.stdout + done.stderr


def swaks_sends(server, recipient, login=None, mechanism="PLAIN"):
    auth = ["--auth", mechanism, "--auth-user", login[0], "--auth-password", login[1]] if login else []
    code, output = program("swaks", "--server", server.host, "--port", str(server.port), "--from", USER,
                           "--to", recipient, "--helo", "client.example", *auth)
    if code != 0:
        raise smtplib.SMTPException(output)


def msmtp_sends(server, recipient, login=None, mechanism="PLAIN"):
    auth = [f"--auth={mechanism.lower()}", f"--user={login[0]}",
            "--passwordeval=printenv MX_TEST_PASSWORD"] if login else ["--auth=off"]
    code, output = program(
        "msmtp", "--file=/dev/null", f"--host={server.host}", f"--port={server.port}", "--tls=off",
        f"--from={USER}", *auth, recipient, input=MAIL,
        env={**os.environ, "MX_TEST_PASSWORD": login[1] if login else ""})
    if code != 0:
        raise smtplib.SMTPException(output)


def nail_sends(server, recipient, login=None, mechanism="PLAIN"):
    from urllib.parse import quote
    who = f"{quote(login[0], safe='')}:{quote(login[1], safe='')}@" if login else ""
    auth = mechanism.lower() if login else "none"
    code, output = program(
        "s-nail", "-:/", "-Sv15-compat", "-S", f"mta=smtp://{who}{server.host}:{server.port}",
        "-S", f"smtp-auth={auth}", "-S", f"from={USER}", "-S", "sendwait", "-s", "x", recipient,
        input="text\n", env={**os.environ, "HOME": "/nonexistent"})
    if code != 0:
        raise smtplib.SMTPException(output)


def refused(send, *arguments, **how):
    try:
        send(*arguments, **how)
    except smtplib.SMTPException as refusal:
        return str(refusal)
    raise AssertionError(f"not refused: {arguments}")


def failures(server):
    return sum("event=auth" in line and "result=failed" in line for line in server.lines)


def session(send, mechanisms):
    """What a program has to get right, by all mechanisms it knows of ours."""
    with lib_auth.server(lib_auth.users("scram-sha-256", "plain")) as server:
        send(server, LOCAL)
        text = refused(send, server, FOREIGN)
        assert "530" in text or "Authentication" in text, text
        for number, mechanism in enumerate(mechanisms, 1):
            for who in (USER, LOCAL):
                login = (who, lib_auth.PASSWORD)
                send(server, LOCAL, login, mechanism)
                send(server, FOREIGN, login, mechanism)
            text = refused(send, server, LOCAL, (USER, "wrong"), mechanism)
            assert "535" in text or "uthentication" in text, text
            eventually(lambda: failures(server) == number, "the failure in the log")
        equal(failures(server), len(mechanisms), "failures in the log")
        server.stop()
        for line in server.lines:
            assert lib_auth.PASSWORD not in line and "wrong" not in line, line
        assert any("event=message" in line and f"user={USER}" in line for line in server.lines)


def identity(send, mechanism):
    """USER is whom all of them send as."""
    login = (USER, lib_auth.PASSWORD)
    with lib_auth.server(lib_auth.users("scram-sha-256", "plain"), smtp="verifyIdentity: strict") as server:
        send(server, LOCAL, login, mechanism)
        send(server, FOREIGN, login, mechanism)
        for recipient in (LOCAL, FOREIGN):
            text = refused(send, server, recipient, (LOCAL, lib_auth.PASSWORD), mechanism)
            assert "503" in text or "Incorrect Authentication" in text, text
            text = refused(send, server, recipient)
            assert "530" in text or "Authentication" in text, text
        server.stop()
        equal(sum("event=message" in line for line in server.lines), 2, "messages")


def test_smtplib():
    session(smtplib_sends, ["PLAIN", "LOGIN"])
    identity(smtplib_sends, "LOGIN")


def with_program(name, send, mechanisms):
    if shutil.which(name) is None:
        print(f"(left out: {name} is not installed)")
        return
    session(send, mechanisms)
    identity(send, mechanisms[-1])


def test_swaks():
    with_program("swaks", swaks_sends, ["PLAIN", "LOGIN"])


def test_msmtp():
    with_program("msmtp", msmtp_sends, ["PLAIN", "LOGIN", "SCRAM-SHA-256"])


def test_nail():
    with_program("s-nail", nail_sends, ["PLAIN", "LOGIN"])


run(globals())
