"""The spool on the file systems there are: what is written how, and that all of it is there after kill -9.

ext4, xfs and btrfs are written past the page cache, btrfs without copy on write. Where O_DIRECT is refused
mail goes through the page cache and is synced, which is said once.
"""
import glob
import os
import signal
import subprocess
import tempfile

from lib_disk import Disk, command, folder, in_namespace_of_its_own, unmount
from lib_mxring import MXRING, equal, mxring, run, serve, write_config

MXLOAD = os.environ.get("MXLOAD") or os.path.join(os.path.dirname(MXRING), "mxload")


def gateway(spool, more=""):
    return write_config(f"""\
engine: {{workers: 2}}
domains: [example.com]
spool: {{directory: "{spool}", segmentSize: 4M, reserve: 0, {more}}}
smtpservers:
  - {{bind: "127.0.0.1:0", helloName: mx.example, handlerchain: [], verifyIdentity: disabled}}
""")


def check(path, is_buffered=False):
    """Mail through several segments; killed while more comes; all of it is there. The segments."""
    spool = f"{path}/spool"
    with folder() as root:
        ledgers = []
        for sync in ("dsync", "fdatasync"):
            with serve(gateway(spool, f"syncMode: {sync}")) as server:
                for arguments in (["-m", "500", "-l", "1-60000"], ["--duration", "60", "-l", "4096"]):
                    ledgers.append(f"{root}/{len(ledgers)}")
                    client = subprocess.Popen(
                        [MXLOAD, "--pipeline", "-d", "-s", "8", "-t", "bob@example.com", "--timeout", "9",
                         "--ledger", ledgers[-1], *arguments, server.address],
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    if "-m" in arguments:
                        equal(client.wait(100), 0, "mxload")
                try:
                    client.wait(1)
                except subprocess.TimeoutExpired:
                    pass
                server.signal(signal.SIGKILL)
                client.wait(60)
                lines = [line for line in server.lines if "spool_buffered" in line]
                equal(len(lines), int(is_buffered), lines)
                assert not server.logged("spool_error"), server.lines
        result = mxring("spool", "verify", spool, seconds=60)
        equal(result.returncode, 0, result.stdout + result.stderr)
        result = mxring("spool", "export", "--raw", "--maildir", f"{root}/mail", spool, seconds=60)
        equal(result.returncode, 0, result.stderr)
        with open(f"{root}/ledger", "w", encoding="ascii") as file:
            for ledger in ledgers:
                with open(ledger, encoding="ascii") as part:
                    file.write(part.read())
        result = subprocess.run([MXLOAD, "--verify", f"{root}/ledger", f"{root}/mail"],
                                capture_output=True, text=True, timeout=100, check=False)
        equal(result.returncode, 0, result.stdout + result.stderr)
    return glob.glob(f"{spool}/[0-9]*/seg.*")


def attributes(path):
    return command("lsattr", path).split()[0]


def test_ext4():
    with folder() as root, Disk(root, "ext4", 512) as disk:
        check(disk.path)


def test_xfs():
    with folder() as root, Disk(root, "xfs", 512) as disk:
        check(disk.path)


def test_btrfs():
    with folder() as root, Disk(root, "btrfs", 768) as disk:
        for path in check(disk.path):
            assert "C" in attributes(path), path


def test_btrfs_that_compresses():
    """A folder whose files are to be compressed: segments are not."""
    with folder() as root, Disk(root, "btrfs", 768) as disk:
        command("chattr", "+c", disk.path)
        for path in check(disk.path):
            assert "C" in attributes(path) and "c" not in attributes(path), path


def test_page_cache():
    """data=journal takes no O_DIRECT."""
    with folder() as root, Disk(root, "ext4", 512) as disk:
        unmount(disk.path)
        disk.mount_again("data=journal")
        check(disk.path, is_buffered=True)


def test_tmpfs():
    with folder() as root:
        os.mkdir(f"{root}/tmpfs")
        command("mount", "-t", "tmpfs", "-o", "size=1G", "tmpfs", f"{root}/tmpfs")
        with open("/proc/self/mounts", encoding="utf-8") as file:
            assert f"{root}/tmpfs tmpfs" in file.read()
        check(f"{root}/tmpfs", is_buffered=not takes_direct(f"{root}/tmpfs"))
        unmount(f"{root}/tmpfs")


def takes_direct(path):
    with tempfile.NamedTemporaryFile(dir=path) as file:
        try:
            os.close(os.open(file.name, os.O_WRONLY | os.O_DIRECT))
        except OSError:
            return False
    return True


def test_overlay():
    with folder() as root, Disk(root, "ext4", 512) as disk:
        for name in ("lower", "upper", "work", "over"):
            os.mkdir(f"{disk.path}/{name}")
        command("mount", "-t", "overlay", "-o",
                ",".join(f"{name}dir={disk.path}/{name}" for name in ("lower", "upper", "work")),
                "overlay", f"{disk.path}/over")
        try:
            check(f"{disk.path}/over", is_buffered=not takes_direct(f"{disk.path}/over"))
        finally:
            unmount(f"{disk.path}/over")


if __name__ == "__main__":
    in_namespace_of_its_own()
    run(globals())
