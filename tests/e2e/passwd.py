#!/usr/bin/env python3
"""mxring passwd: lines for the users file, from standard input and from a terminal, that mxring
check accepts; and what it refuses."""
import os
import pty
import re
import select
import subprocess
import sys
import tempfile

MXRING = os.environ["MXRING"]
HASHES = {
    "yescrypt": r"\$y\$",
    "gost-yescrypt": r"\$gy\$",
    "bcrypt": r"\$2b\$10\$",
    "sha512crypt": r"\$6\$rounds=100000\$",
    "pbkdf2-sha512": r"\{PBKDF2-SHA512-210000-512\}",
    "scram-sha-256": r"\{SCRAM-SHA-256\}16384:",
}


def passwd(*arguments, stdin=b"secret\n"):
    return subprocess.run([MXRING, "passwd", *arguments], input=stdin, capture_output=True,
                          timeout=60)


def check_line(done, prefix):
    assert done.returncode == 0, done
    assert done.stderr == b"", done
    line = done.stdout.decode()
    assert re.fullmatch(r"bob@example\.com:" + prefix + r"\S+\n", line), line
    return line


def hashes():
    lines = [check_line(passwd("--hash", name, "bob@example.com"), prefix)
             for name, prefix in HASHES.items()]
    lines.append(check_line(passwd("bob@example.com"), HASHES["yescrypt"]))
    lines.append(check_line(passwd("--scram", "bob@example.com"), HASHES["scram-sha-256"]))
    # salted: the same password never gives the same line (James's form has no salt of its own)
    assert len(set(lines)) == len(lines), lines
    with tempfile.TemporaryDirectory() as folder:
        users, conf = os.path.join(folder, "users"), os.path.join(folder, "conf.yaml")
        for number, line in enumerate(lines):
            lines[number] = f"u{number}@example.com:" + line.split(":", 1)[1]
        with open(os.open(users, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.writelines(lines)
        with open(conf, "w") as file:
            file.write("users: users\n")
        done = subprocess.run([MXRING, "check", "-c", conf], capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b""), done


def refusals():
    rows = [
        ([], b"usage: "), (["a", "b"], b"usage: "), (["--hash", "md4", "bob@example.com"], b"no such"),
        (["bob"], b"must be an address"), (["<>"], b"must be an address"),
        (["#bob@example.com"], b"cannot begin with #"),
        (["bob@[1.2.3.4]"], b"must be an address"), (["a b@example.com"], b"must be an address"),
    ]
    for arguments, text in rows:
        done = passwd(*arguments)
        assert done.returncode == 2 and done.stdout == b"" and text in done.stderr, done
    for stdin, text in [(b"", b"no password"), (b"\n", b"no password"), (b"a\0b\n", b"NUL"),
                        (b"x" * 512 + b"\n", b"longer than 511")]:
        done = passwd("bob@example.com", stdin=stdin)
        assert done.returncode == 2 and done.stdout == b"" and text in done.stderr, done
    done = passwd("--scram", "bob@example.com", stdin="grün\n".encode())
    assert done.returncode == 2 and done.stdout == b"" and b"ASCII" in done.stderr, done
    done = passwd("bob@example.com", stdin=b"x" * 511)
    assert done.returncode == 0, done


def terminal(typed):
    """What a person at a terminal sees, and the exit status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(MXRING, [MXRING, "passwd", "--hash", "bcrypt", "bob@example.com"])
    seen = b""
    for prompt, text in typed:
        while prompt not in seen:
            assert select.select([fd], [], [], 20)[0], seen
            seen += os.read(fd, 4096)
        os.write(fd, text)
    while select.select([fd], [], [], 20)[0]:
        try:
            part = os.read(fd, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    return seen, status


def terminals():
    seen, status = terminal([(b"Password: ", b"secret\n"), (b"Again: ", b"secret\n")])
    assert status == 0 and b"bob@example.com:$2b$10$" in seen and b"secret" not in seen, seen
    seen, status = terminal([(b"Password: ", b"secret\n"), (b"Again: ", b"sacred\n")])
    assert status == 2 and b"not the same" in seen and b"example.com:" not in seen, seen
    assert b"secret" not in seen and b"sacred" not in seen, seen
    seen, status = terminal([(b"Password: ", b"secr\x03")])
    assert status == 2 and b"interrupted" in seen and b"secr" not in seen, seen


hashes()
refusals()
terminals()
print("passwd: hashes, refusals and terminals are as they should be", file=sys.stderr)
