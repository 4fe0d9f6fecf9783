"""Where programs are, and how to let one see other files than the rest of the machine."""
import contextlib
import grp
import os
import pwd
import shutil
import subprocess

from .process import Failure

FIRST_ID = 64100  # of users that we make up inside of a namespace
COMMAND_SECONDS = 20


class Absent(Exception):
    """This server cannot run here, and why."""


class Site:
    """What is installed: on this machine, and by --install below `peers`."""

    def __init__(self, build, peers):
        self.build = os.path.realpath(build)
        self.peers = os.path.realpath(peers)
        self.root = f"{self.peers}/root"  # unpacked Debian packages
        self.modules = f"{self.peers}/npm/node_modules"

    def ours(self, name):
        path = f"{self.build}/{name}"
        if not os.path.exists(path):
            raise Absent(f"there is no {path} (scripts/build makes it)")
        return path

    def program(self, *names):
        """The first of these that is installed."""
        for name in names:
            path = shutil.which(name) or shutil.which(
                name, path=f"{self.root}/usr/sbin:{self.root}/usr/bin")
            if path:
                return path
        raise Absent(f"{names[0]} is not installed (bench/compare --install)")

    def module(self, name):
        path = f"{self.modules}/{name}"
        if not os.path.exists(path):
            raise Absent(f"npm's {name} is not installed (bench/compare --install)")
        return path

    def libraries(self):
        """The environment in which unpacked programs find their libraries."""
        found = [folder for folder, _, files in os.walk(f"{self.root}/usr/lib")
                 if any(".so" in name for name in files)]
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(found)} if found else dict(os.environ)


def said(command, **how):
    """What a program prints about itself, stdout and stderr, or Absent."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=COMMAND_SECONDS, check=False, **how)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Absent(f"{command[0]} does not run: {error}") from error
    return done.stdout


def need_root(what):
    if os.geteuid() != 0:
        raise Absent(f"{what} changes users: start bench/compare as root")


def fill(source, target, values):
    """Copy a configuration file, {name} replaced by values["name"]."""
    with open(source, encoding="utf-8") as file:
        text = file.read()
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)
    return target


def own(path, user, mode=0o755):
    """A new folder of a user, which may be one that accounts() made up (a number)."""
    os.makedirs(path, exist_ok=True)
    os.chown(path, user, -1)
    os.chmod(path, mode)
    return path


def accounts(folder, users):
    """({name: uid}, [(file, "/etc/passwd"), ...]): these users, each with a group of its name,
    beside those of the machine. Nothing is bound when all of them are there."""
    ids, passwd, group = {}, [], []
    number = FIRST_ID
    for name in users:
        with contextlib.suppress(KeyError):
            ids[name] = pwd.getpwnam(name).pw_uid
            grp.getgrnam(name)
            continue
        while any(number in (user.pw_uid, user.pw_gid) for user in pwd.getpwall()):
            number += 1
        if name not in ids:
            ids[name] = number
            passwd.append(f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n")
        group.append(f"{name}:x:{number}:\n")
        number += 1
    binds = []
    for base, lines in (("passwd", passwd), ("group", group)):
        if lines:
            with open(f"/etc/{base}", encoding="utf-8") as file:
                text = file.read()
            with open(f"{folder}/{base}", "w", encoding="utf-8") as file:
                file.write(text.rstrip("\n") + "\n" + "".join(lines))
            binds.append((f"{folder}/{base}", f"/etc/{base}"))
    return ids, binds


def in_namespace(command, binds):
    """The command, in a mount namespace in which each (source, target) is bound: only it and its
    children see them. Nothing is mounted for anybody else."""
    if not binds:
        return command
    if shutil.which("unshare") is None:
        raise Failure("unshare (util-linux) is not installed")
    mounts = []
    for source, target in binds:
        mounts += [source, os.path.realpath(target)]
    script = (f"n={len(binds)}; "
              'while [ "$n" -gt 0 ]; do mount --bind "$1" "$2" || exit 71; shift 2; n=$((n - 1)); '
              'done; exec "$@"')
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *mounts,
            *command]
