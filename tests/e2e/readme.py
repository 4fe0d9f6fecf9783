"""The commands that README.md, docs/MXLOAD.md and scripts/run print, against the server that
scripts/run starts: each succeeds, and what it prints is what is printed there.

Fewer messages are sent than there. Numbers, times, identities and host names may differ, and of
mxload's report all but the first word of a line; an ellipsis stands for lines that are left out.
"""
import contextlib
import os
import re
import socket
import subprocess
import tempfile

from lib_mxring import MXRING, SLOW, SOURCE, Client, Server, equal, run, tool

MESSAGES = "200"


class Tour(contextlib.AbstractContextManager):
    """A tree with scripts/run, whose server has ports of the kernel's choice and small segments."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="mxring-readme-")
        tree = self.folder.name
        os.makedirs(f"{tree}/scripts")
        os.makedirs(f"{tree}/build")
        for name in ("mxring", "mxload"):
            os.symlink(os.path.join(os.path.dirname(MXRING), name), f"{tree}/build/{name}")
        script = self._write("run", self._small(f"{SOURCE}/scripts/run"))
        self._write("build", "#!/bin/sh\n")
        self.server = Server(listeners=2, prefix=("bash", "-c", 'exec "$0"', script))
        self.smtp, self.lmtp = ("%s:%d" % address for address in self.server.addresses)
        with Client(self.server.addresses[0], greeting=None) as client:
            self.names = {client.expect("220").split()[1], socket.gethostname(), socket.getfqdn()}
        self.last_id = None

    def _write(self, name, text):
        path = f"{self.folder.name}/scripts/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
        return path

    @staticmethod
    def _small(path):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for old, new in (('{bind: "127.0.0.1:2525"', '{bind: "127.0.0.1:0"'),
                         ('{bind: "127.0.0.1:2424"', '{bind: "127.0.0.1:0"'),
                         ('/var/spool"}', '/var/spool", segmentSize: 4M, reserve: 16M}')):
            equal(text.count(old), 1, old)
            text = text.replace(old, new)
        return text

    def __exit__(self, *_):
        self.server.kill()
        self.folder.cleanup()

    def run(self, command):
        """What it prints, and its exit status."""
        words = command.split()
        if not words[0].startswith("build/"):
            tool(os.path.basename(words[0]))
        command = command.replace("127.0.0.1:2525", self.smtp).replace("127.0.0.1:2424", self.lmtp)
        command = re.sub(r"(?<= -m )\d+", MESSAGES, command)
        command = re.sub(r"--rate \S+ --duration \S+", "--rate 100/s --duration 1", command)
        if self.last_id:
            command = re.sub(r"(spool cat \S+) \S+", rf"\1 {self.last_id}", command)
        path = os.environ.get("PATH", "") + ":/usr/sbin"
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=self.folder.name,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, env={**os.environ, "PATH": path},
                              timeout=SLOW * 6, check=False)
        if "spool ls" in command:
            self.last_id = done.stdout.split()[0]
        is_cut = command.rpartition("| ")[2].startswith("head ") and done.returncode == 141
        return done.stdout, 0 if is_cut else done.returncode  # SIGPIPE: head has seen enough

    def normal(self, line, command):
        """What must be the same on every machine."""
        if "mxload" in command:
            return line.split()[0] if line.split() else ""
        for name in sorted(self.names, key=len, reverse=True):
            line = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w-])", "HOST", line)
        if "swaks" not in command:
            line = re.sub(r"\b[0-9a-f]{8}-\d-[0-9a-f]+", "ID", line)
            # the last one in the spool is swaks's or smtp-source's
            line = line.replace("(HELO ", "(EHLO ").replace(" SMTP ID ", " ESMTP ID ")
            line = re.sub(r"\b[0-9a-f]{8}$|\d[\d:.TZ-]*", "N", line)
        return re.sub(r"EHLO \S+(?=\)|$)", "EHLO HOST", line).rstrip()


def commands(path, start, language):
    """[(command, lines that are shown behind it)] of the blocks of a section of a document."""
    with open(f"{SOURCE}/{path}", encoding="utf-8") as file:
        section = file.read().partition(start)[2].partition("\n## ")[0]
    found = []
    for block in re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S):
        for line in block.splitlines():
            if language == "sh" and not line.startswith("#"):
                found.append((line, []))
            elif line.startswith("$ "):
                found.append((line[2:].partition("  #")[0].strip(), []))
            elif language != "sh":
                found[-1][1].append(line)
    assert found, f"{path}: no commands"
    return found


def check_shown(tour, command, shown, printed):
    """The lines that are shown are printed in that order, and none between two of them."""
    # README's host is vm
    wanted = [tour.normal(re.sub(r"\bvm\b", "HOST", line), command) for line in shown]
    if "server" not in [line.split(" ")[0] for line in printed.splitlines()]:
        wanted = [line for line in wanted if line != "server"]  # mxload ran for too short a time
    got = [tour.normal(line, command) for line in printed.splitlines()]
    at, is_free = 0, True
    for line in wanted:
        if line == "…":
            is_free = True
            continue
        places = [place for place in range(at, len(got)) if got[place] == line]
        assert places and (is_free or places[0] == at), \
            f"$ {command}\n{line!r} is not what comes next:\n" + "\n".join(got[at:] or ["(nothing)"])
        at, is_free = places[0] + 1, False
    assert is_free or not wanted or at == len(got), \
        f"$ {command}\nnot shown:\n" + "\n".join(got[at:])


def check_all(tour, rows):
    for command, shown in rows:
        printed, status = tour.run(command)
        is_refusal = any(line.startswith("<** ") for line in shown)
        equal(status != 0, is_refusal, f"$ {command}\n{printed}\nexit status {status}")
        if shown:
            check_shown(tour, command, shown, printed)


def test_tour_of_the_readme():
    rows = commands("README.md", "\n## Sixty seconds\n", "console")
    equal(rows[0][0], "scripts/run")
    assert len(rows) >= 8, rows
    with Tour() as tour:
        for line in rows[0][1]:
            if line != "…":
                event = re.search(r"event=listening proto=\w+", line)[0]
                assert tour.server.logged(event), event
        check_all(tour, rows[1:])
        equal(len(os.listdir(f"{tour.folder.name}/Maildir/new")), int(MESSAGES) + 1, "exported")
        tour.server.signal()
        equal(tour.server.wait(), 0)


def test_commands_of_mxload():
    rows = commands("docs/MXLOAD.md", "# mxload\n", "sh")
    equal(len(rows), 3)
    with Tour() as tour:
        check_all(tour, rows)


def test_what_scripts_run_prints():
    with open(f"{SOURCE}/scripts/run", encoding="utf-8") as file:
        rows = [(line.strip(), []) for line in file if re.match(r"  (smtp-source|swaks) ", line)]
    equal(len(rows), 4)
    with Tour() as tour:
        check_all(tour, rows)
        tour.server.signal()
        equal(tour.server.wait(), 0)
        assert rows[0][0] in tour.server.output.decode(), tour.server.output


def test_users_of_scripts_run():
    """bob and alice and nobody else, whom they can prove to be."""
    with Tour() as tour:
        for recipient, code in (("bob", "250"), ("alice", "250"), ("nobody", "550 5.1.1")):
            for address, hello in zip(tour.server.addresses, ("EHLO", "LHLO")):
                with Client(address) as client:
                    client.command(f"{hello} client.example", "250")
                    client.command("MAIL FROM:<a@example.org>", "250")
                    client.command(f"RCPT TO:<{recipient}@example.com>", code)
        for user, password, code in (("bob", "secret", "235"), ("alice", "wonder", "235"),
                                     ("bob", "wonder", "535")):
            text = tour.run(f"printf '\\0{user}@example.com\\0{password}' | base64")[0].strip()
            with Client(tour.server.addresses[0]) as client:
                client.command("EHLO client.example", "250")
                client.command(f"AUTH PLAIN {text}", code)
        mode = os.stat(f"{tour.folder.name}/var/users").st_mode
        equal(mode & 0o077, 0, "the users file is for its owner only")


tool("bash")
run(globals())
