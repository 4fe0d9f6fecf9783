"""The servers that bench/compare knows: how to find, configure and start each, and what its 250
means. Their configuration files are in bench/peers/."""
import os
import re
import shlex
import sys
import tempfile
from dataclasses import dataclass, field, replace

from .place import Absent, accounts, fill, in_namespace, need_root, own, said
from .process import Failure

FILES = os.path.realpath(f"{__file__}/../../peers")
DISCARD, WRITTEN, DURABLE = "discard", "written", "durable"
CLASSES = {
    DISCARD: "the 250 promises nothing: the message was read and thrown away",
    WRITTEN: "the 250 says that the message was handed to the kernel; power loss may lose it",
    DURABLE: "the 250 says that the device has confirmed the message (fsync)",
}


@dataclass
class Launch:
    """A command, and what it needs around it."""
    command: list
    binds: list = field(default_factory=list)
    env: dict = None
    cwd: str = None

    def argv(self):
        return in_namespace(self.command, self.binds)


class Peer:
    """name: for --only. kind: its class. meaning: of its 250. idle: connections that can be held
    (fewer where each is a process)."""

    idle = 1000
    sessions = 1000  # at the same time, under load
    can_pipeline = True
    config = ""
    note = ""  # what a reader of its row must know

    def find(self, site):
        """Fill version; Absent when it cannot run here."""
        raise NotImplementedError

    def launch(self, site, folder, port):
        """Write its configuration into the empty folder."""
        raise NotImplementedError

    def adapt(self, load):
        """The load as this server can take it, or None."""
        if load.pipeline and not self.can_pipeline:
            return None
        return replace(load, sessions=min(load.sessions, self.sessions))

    def kept(self, folder):
        """How many messages it holds; None when that means nothing here."""
        return None

    def clear(self, folder):
        """Throw away what it holds, while it runs."""

    def as_dict(self):
        return {"name": self.name, "title": self.title, "version": self.version,
                "class": self.kind, "meaning": self.meaning, "config": self.config, "note": self.note}


def files_below(folder, is_message):
    found = []
    for path, _, names in os.walk(folder):
        found += [f"{path}/{name}" for name in names if is_message(name)]
    return found


class MxringSink(Peer):
    name, title, kind = "mxring-sink", "mxring sink", DISCARD
    meaning = "counted and thrown away"

    def find(self, site):
        self.version = re.search(r"[\d.]+", said([site.ours("mxring"), "--version"]))[0]

    def launch(self, site, folder, port):
        return Launch([site.ours("mxring"), "sink", "--workers", "1", f"127.0.0.1:{port}"])


class MxringServe(Peer):
    """durability: of its spool."""

    config = "bench/peers/mxring/serve.yaml"

    def __init__(self, durability, kind, meaning):
        self.name, self.title = f"mxring-{kind}", f"mxring serve ({durability})"
        self.durability, self.kind, self.meaning = durability, kind, meaning

    find = MxringSink.find

    def launch(self, site, folder, port):
        os.mkdir(f"{folder}/spool")
        path = fill(f"{FILES}/mxring/serve.yaml", f"{folder}/serve.yaml",
                    {"port": port, "dir": folder, "durability": self.durability})
        return Launch([site.ours("mxring"), "serve", "-c", path])


class SmtpSink(Peer):
    name, title, kind = "smtp-sink", "smtp-sink", DISCARD
    meaning = "thrown away"

    def find(self, site):
        self.path = site.program("smtp-sink")
        self.version = postfix_version(site)

    def launch(self, site, folder, port):
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return Launch([self.path, *user, "-m", "20000", f"127.0.0.1:{port}", "4096"],
                      env=site.libraries())


def postfix_version(site):
    text = said([site.program("postconf"), "-d", "-h", "mail_version"], env=site.libraries())
    match = re.search(r"^\d[\w.]+$", text, re.MULTILINE)
    return match[0] if match else "?"


class Postfix(Peer):
    """policy: what its smtpd does with every message."""

    idle = 200
    config = "bench/peers/postfix/"

    def __init__(self, name, title, kind, policy, meaning):
        self.name, self.title, self.kind = name, title, kind
        self.policy, self.meaning = policy, meaning

    def find(self, site):
        need_root("Postfix")
        self.path = site.program("postfix")
        self.version = postfix_version(site)

    def launch(self, site, folder, port):
        ids, binds = accounts(folder, ["postfix", "postdrop"])
        directories = ""
        if self.path.startswith(site.root):  # unpacked: nothing is where it was to be
            directories = "\n".join((
                f"daemon_directory = {site.root}/usr/lib/postfix/sbin",
                f"command_directory = {site.root}/usr/sbin",
                f"shlib_directory = {site.root}/usr/lib/postfix",
                f"meta_directory = {site.root}/etc/postfix",
                "import_environment = LD_LIBRARY_PATH MAIL_CONFIG"))
        values = {"dir": folder, "port": port, "policy": self.policy,
                  "directories": directories, "setgid_group": "postdrop"}
        os.mkdir(f"{folder}/etc")
        for name in ("main.cf", "master.cf"):
            fill(f"{FILES}/postfix/{name}", f"{folder}/etc/{name}", values)
        own(f"{folder}/queue", 0)
        own(f"{folder}/data", ids["postfix"])
        if os.path.exists("/dev/log"):  # logging is not what is compared
            binds.append(("/dev/null", "/dev/log"))
        return Launch([self.path, "-c", f"{folder}/etc", "start-fg"], binds, site.libraries())

    def messages(self, folder):
        return files_below(f"{folder}/queue/hold", lambda name: True)

    def kept(self, folder):
        return len(self.messages(folder)) if "HOLD" in self.policy else None

    def clear(self, folder):
        for path in self.messages(folder):
            os.unlink(path)


class Exim(Peer):
    name, title, kind = "exim", "Exim, queue only", DURABLE
    meaning = "in its spool, fsynced; stays there"
    user = "Debian-exim"
    idle = 200
    config = "bench/peers/exim/exim.conf"

    def find(self, site):
        need_root("Exim")
        self.path = site.program("exim4")
        with tempfile.TemporaryDirectory() as folder:  # without its user it does not even say that
            _, binds = accounts(folder, [self.user])
            text = said(in_namespace([self.path, "--version"], binds), env=site.libraries())
        match = re.search(r"Exim version (\S+)", text)
        if match is None:
            raise Absent(f"{self.path} does not run")
        self.version = match[1]

    def launch(self, site, folder, port):
        ids, binds = accounts(folder, [self.user])
        for name in ("spool", "log"):
            own(f"{folder}/{name}", ids[self.user])
        path = fill(f"{FILES}/exim/exim.conf", f"{folder}/exim.conf",
                    {"dir": folder, "port": port, "user": self.user, "group": self.user})
        return Launch([self.path, "-C", path, "-bdf"], binds, site.libraries())

    def messages(self, folder):
        return files_below(f"{folder}/spool/input", lambda name: name.endswith(("-D", "-H")))

    def kept(self, folder):
        return sum(path.endswith("-H") for path in self.messages(folder))

    def clear(self, folder):
        for path in self.messages(folder):
            os.unlink(path)


class OpenSmtpd(Peer):
    name, title, kind = "opensmtpd", "OpenSMTPD, deliveries paused", WRITTEN
    meaning = "in its queue, no fsync; stays there"
    idle = 500
    sessions = 5
    can_pipeline = False
    note = "5 connections at a time (its listen backlog loses more), and no pipelining"
    config = "bench/peers/opensmtpd/smtpd.conf"

    def find(self, site):
        need_root("OpenSMTPD")
        self.path = site.program("smtpd")
        match = re.search(r"OpenSMTPD (\S+)", said([self.path, "-h"], env=site.libraries()))
        if match is None:
            raise Absent(f"{self.path} is not OpenSMTPD")
        self.version = match[1]

    def launch(self, site, folder, port):
        ids, binds = accounts(folder, ["opensmtpd", "opensmtpq"])
        for name in ("lib", "lib/opensmtpd", "lib/opensmtpd/empty", "run", "spool"):
            own(f"{folder}/{name}", 0)
        own(f"{folder}/spool/smtpd", 0, 0o711)
        with open(f"{folder}/resolv.conf", "w", encoding="ascii") as file:
            file.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        path = fill(f"{FILES}/opensmtpd/smtpd.conf", f"{folder}/smtpd.conf", {"port": port})
        binds += [(f"{folder}/spool", "/var/spool"), (f"{folder}/lib", "/var/lib"),
                  (f"{folder}/run", "/run")]
        if os.path.exists("/etc/resolv.conf"):
            binds.append((f"{folder}/resolv.conf", "/etc/resolv.conf"))
        if os.path.exists("/dev/log"):
            binds.append(("/dev/null", "/dev/log"))
        return Launch([self.path, "-F", "-f", path, "-P", "mta", "-P", "mda"], binds,
                      site.libraries())

    def messages(self, folder):
        return files_below(f"{folder}/spool/smtpd/queue", lambda name: name == "message")

    def kept(self, folder):
        return len(self.messages(folder))


class Haraka(Peer):
    name, title, kind = "haraka", "Haraka", DISCARD
    meaning = "read in whole, thrown away by a plugin"
    config = "bench/peers/haraka/"

    def find(self, site):
        self.node = site.program("node")
        self.path = f"{site.module('Haraka')}/bin/haraka"
        self.version = package_version(site, "Haraka")

    def launch(self, site, folder, port):
        for part in ("config", "plugins"):
            os.mkdir(f"{folder}/{part}")
            for name in os.listdir(f"{FILES}/haraka/{part}"):
                fill(f"{FILES}/haraka/{part}/{name}", f"{folder}/{part}/{name}", {"port": port})
        return Launch([self.node, self.path, "-c", folder])


def package_version(site, name):
    with open(f"{site.module(name)}/package.json", encoding="utf-8") as file:
        return re.search(r'"version":\s*"([^"]+)"', file.read())[1]


class SmtpServer(Peer):
    name, title, kind = "smtp-server", "nodemailer smtp-server", DISCARD
    meaning = "read and thrown away"
    config = "bench/peers/smtp-server/server.js"
    note = "it greets 100 ms after the connection, by design"

    def find(self, site):
        self.node = site.program("node")
        self.version = package_version(site, "smtp-server")

    def launch(self, site, folder, port):
        return Launch([self.node, f"{FILES}/smtp-server/server.js", str(port)],
                      env={**os.environ, "NODE_PATH": site.modules})


class Aiosmtpd(Peer):
    name, title, kind = "aiosmtpd", "aiosmtpd", DISCARD
    meaning = "read in whole, thrown away"
    config = "bench/peers/aiosmtpd/server.py"

    def find(self, site):
        self.env = {**os.environ, "PYTHONPATH": f"{site.root}/usr/lib/python3/dist-packages"}
        ask = "import aiosmtpd; print('aiosmtpd', aiosmtpd.__version__)"
        for python in ("/usr/bin/python3", sys.executable):
            match = os.path.exists(python) and re.search(
                r"^aiosmtpd (\S+)", said([python, "-c", ask], env=self.env))
            if match:
                self.python, self.version = python, match[1]
                return
        raise Absent("python3-aiosmtpd is not installed (bench/compare --install)")

    def launch(self, site, folder, port):
        return Launch([self.python, f"{FILES}/aiosmtpd/server.py", str(port)], env=self.env)


class Command(Peer):
    """A server of the user's."""

    version = ""

    def __init__(self, name, kind, command):
        if kind not in CLASSES:
            raise Failure(f"--also {name}: {kind} is none of {', '.join(CLASSES)}")
        if "{port}" not in command:
            raise Failure(f"--also {name}: the command needs {{port}}")
        self.name = self.title = name
        self.kind, self.command = kind, command
        self.meaning = "as its user says"
        self.config = command

    def find(self, site):
        """It is what the user says it is."""

    def launch(self, site, folder, port):
        return Launch([word.replace("{port}", str(port)).replace("{dir}", folder)
                       for word in shlex.split(self.command)])


def all_peers():
    """In this order; the first of a class that is there is what the others are divided by."""
    return [
        MxringSink(), SmtpSink(), SmtpServer(), Haraka(), Aiosmtpd(),
        Postfix("postfix-discard", "Postfix, DISCARD", DISCARD, "static:DISCARD",
                "accepted and thrown away by its policy, queue file never fsynced"),
        MxringServe("write", WRITTEN, "in its spool, handed to the kernel"),
        OpenSmtpd(),
        MxringServe("fsync", DURABLE, "in its spool, confirmed by the device"),
        Postfix("postfix-hold", "Postfix, HOLD", DURABLE, "static:HOLD",
                "in its queue, fsynced; stays there"),
        Postfix("postfix-deliver", "Postfix, discard transport", DURABLE, "permit",
                "in its queue, fsynced; then delivered to nowhere (that is in the CPU time)"),
        Exim(),
    ]
