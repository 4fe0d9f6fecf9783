"""Bring the peers that are missing into a folder: nothing is installed on the machine, no service
started, no user made. Debian packages are unpacked, npm's go into a node_modules of their own."""
import glob
import os
import re
import shutil
import stat
import subprocess

from .place import Absent, said
from .process import Failure

SECONDS = 300  # for each step
# What is asked for -> what of its dependencies is unpacked beside lib*: servers need no fonts.
DEBIAN = {
    "postfix": ("postfix",),
    "exim4-daemon-light": ("exim4-daemon-light", "exim4-base"),
    "opensmtpd": ("opensmtpd",),
    "python3-aiosmtpd": ("python3-aiosmtpd", "python3-attr", "python3-public"),
}
NPM = ("Haraka@3.1.1", "smtp-server@3.21.6")


def step(command, folder):
    """Run one command in the folder; Failure with its output."""
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SECONDS, check=False)
    except FileNotFoundError as error:
        raise Failure(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{' '.join(command)} did not end within {SECONDS} s") from error
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout[-1000:]}")
    return done.stdout


def would_install(package):
    """The packages that apt would install for this one, itself included; none when it is there."""
    command = ["apt-get", "--simulate", "install", "--no-install-recommends", package]
    text = said(command, env={**os.environ, "LC_ALL": "C"})
    if "Unable to locate" in text and os.geteuid() == 0:
        step(["apt-get", "update"], "/")
        text = said(command, env={**os.environ, "LC_ALL": "C"})
    names = re.findall(r"^Inst (\S+)", text, re.MULTILINE)
    if not names and "newest version" not in text:
        raise Failure(f"apt-get knows no {package} (apt-get update?):\n{text[-500:]}")
    return names


def unpack(package, site, say):
    """Unpack what is missing of a package and its libraries into site.root."""
    wanted = [name for name in would_install(package)
              if name in DEBIAN[package] or name.startswith("lib")]
    if not wanted:
        say(f"{package}: installed on this machine")
        return
    folder = f"{site.peers}/debs"
    os.makedirs(folder, exist_ok=True)
    step(["apt-get", "download", *wanted], folder)
    for name in wanted:
        for path in glob.glob(f"{folder}/{name}_*.deb"):
            step(["dpkg", "-x", path, site.root], folder)
    say(f"{package}: unpacked {' '.join(wanted)}")


def drop_privileges(root):
    """No program in the folder may give its caller another user's rights."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = f"{folder}/{name}"
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                os.chmod(path, stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))


def install_npm(site, say):
    if shutil.which("npm") is None:
        raise Failure("npm is not installed: without it no Haraka and no smtp-server")
    folder = f"{site.peers}/npm"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/package.json", "w", encoding="ascii") as file:
        file.write('{"private": true}\n')
    step(["npm", "install", "--no-audit", "--no-fund", "--omit=optional", "--ignore-scripts",
          *NPM], folder)
    say(f"npm: {' '.join(NPM)}")


def install(site, say):
    """Bring all peers; says what it does; True when all are there."""
    os.makedirs(site.root, exist_ok=True)
    os.chmod(site.peers, 0o755)
    is_good = True
    steps = [lambda name=name: unpack(name, site, say) for name in DEBIAN]
    for run in [*steps, lambda: install_npm(site, say)]:
        try:
            run()
        except (Failure, Absent) as failure:
            say(f"failed: {failure}")
            is_good = False
    drop_privileges(site.root)
    return is_good
