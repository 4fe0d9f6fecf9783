#!/usr/bin/env python3
"""mxring spool: what its commands print, write and return, on spools that were made by hand."""
import fcntl
import glob
import json
import mailbox
import os
import subprocess
import tempfile

import lib_spool as spool
from lib_mxring import MXRING, equal, run

LARGE = b"".join(b"%07d\r\n" % i for i in range(20000))  # 180,000 octets, in two parts


def command(*arguments, status=0):
    done = subprocess.run([MXRING, "spool", *arguments], capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False)
    equal(done.returncode, status, f"{arguments}: {done.stderr.decode()}{done.stdout.decode()}")
    return done.stdout, done.stderr.decode()


class World:
    """A spool with three messages in two segments, the second one not closed; the third message is
    large and begins in the first segment."""

    def __init__(self, is_killed=True):
        self.folder = tempfile.TemporaryDirectory(prefix="mxring-spool-")
        self.root = os.path.join(self.folder.name, "spool")
        os.makedirs(self.root)
        spool.meta(self.root)
        one = spool.Segment(self.root, 0, spool.epoch(1, 1), spool.lsn(1, 1))
        self.first = one.message(b"Subject: one\r\n\r\nFrom here\r\n>From there\r\n.\r\n")
        self.second = one.message(b"no line end", sender="", recipients=("bob@example.com", "alice@example.com"))
        one.flush()
        self.third, at = one.record(spool.CHUNK, LARGE[:100000])
        one.flush()
        one.write()
        two = spool.Segment(self.root, 1, spool.epoch(1, 2), one.next,
                            before=(one.epoch, one.last))
        two.message(LARGE[100000:], message=self.third, total=len(LARGE), chunk=1,
                    before=(one.epoch, at), first=one.epoch)
        two.flush()
        two.write(is_sealed=not is_killed)
        self.two = two
        self.ids = [spool.message_id(n) for n in (self.first, self.second, self.third)]

    def ls(self, *options):
        return command("ls", *options, self.root)[0].decode().splitlines()


def test_ls():
    for is_killed in (False, True):
        world = World(is_killed)
        equal(world.ls(), [f"{world.ids[0]} queued 43 1 2023-11-14T22:13:20.123Z",
                           f"{world.ids[1]} queued 11 2 2023-11-14T22:13:20.123Z",
                           f"{world.ids[2]} queued 180000 1 2023-11-14T22:13:20.123Z"])
        lines = [json.loads(line) for line in world.ls("--json")]
        equal(lines[1], {"id": world.ids[1], "state": "queued", "size": 11, "recipients": 2,
                         "pending": 2, "received": "2023-11-14T22:13:20.123Z", "authenticated": False,
                         "tls": False})


def test_nothing_is_written():
    world = World()
    before = {path: os.stat(path).st_mtime_ns for path in glob.glob(world.root + "/**", recursive=True)}
    for name in ("ls", "stat", "verify"):
        command(name, world.root)
    command("cat", world.root, world.ids[0])
    command("cat", "--envelope", world.root, world.ids[0])
    command("export", "--mbox", world.folder.name + "/mbox", world.root)
    after = {path: os.stat(path).st_mtime_ns for path in glob.glob(world.root + "/**", recursive=True)}
    equal(after, before)


def test_cat():
    world = World()
    equal(command("cat", world.root, world.ids[0])[0],
          b"Subject: one\r\n\r\nFrom here\r\n>From there\r\n.\r\n")
    equal(command("cat", world.root, world.ids[2])[0], LARGE)
    _, text = command("cat", world.root, spool.message_id(spool.lsn(1, 99)), status=1)
    assert "no such message" in text, text
    for bad in ("x", "1-2-3", world.ids[0].upper(), world.ids[0] + " "):
        _, text = command("cat", world.root, bad, status=2)
        assert "not a message id" in text, text


def test_cat_envelope():
    world = World()
    text = json.loads(command("cat", "--envelope", world.root, world.ids[1])[0])
    equal(text, {
        "id": world.ids[1], "received": "2023-11-14T22:13:20.123Z", "size": 11, "state": "queued",
        "flags": [], "sender": "", "listener": "smtp", "peer": "192.0.2.1",
        "helo": "client.example", "declaredSize": 77, "body": "8BITMIME", "session": "0000beef",
        "attributes": [{"name": "score", "value": "5"}],
        "recipients": [{"address": "bob@example.com", "state": "queued"},
                       {"address": "alice@example.com", "state": "queued"}]})
    command("drop", world.root, world.ids[1])
    text = json.loads(command("cat", "--envelope", world.root, world.ids[1])[0])
    equal(text["state"], "done")
    equal([r["state"] for r in text["recipients"]], ["dropped", "dropped"])


def test_damaged_message_is_never_half_printed():
    world = World(is_killed=False)
    with open(world.two.path, "r+b") as file:
        file.seek(2 * 4096)
        file.write(b"XXXX")
    out, text = command("cat", world.root, world.ids[2], status=1)
    equal(out, b"")
    assert "parts of the spool are damaged" in text, text
    with open(world.root + "/0/seg.000000", "r+b") as file: # its first part
        file.seek(3 * 4096)
        file.write(b"XXXX")
    world.two.write()
    out, text = command("cat", world.root, world.ids[2], status=1)
    equal(out, b"")
    assert "damaged: CRC of the record" in text, text


def test_drop_and_retry():
    world = World()
    command("drop", world.root, world.ids[0], world.ids[2])
    equal([line.split()[0] for line in world.ls()], [world.ids[1]])
    equal([line.split()[1] for line in world.ls("--all")], ["done", "queued", "done"])
    _, text = command("drop", world.root, world.ids[0], status=1)
    assert "nothing is left" in text, text
    command("retry", world.root, world.ids[1])
    command("retry", world.root, world.ids[0], status=1)
    command("drop", world.root, status=2)
    command("verify", world.root)
    equal(world.ls("--all")[1].split()[1], "queued")


def maildir_of(path):
    return {os.path.basename(name): open(name, "rb").read() for name in glob.glob(path + "/new/*")}


def test_export_maildir():
    world = World()
    box = world.folder.name + "/Maildir"
    out, _ = command("export", "--maildir", box, world.root)
    assert b"3 messages, 4 copies" in out, out
    files = maildir_of(box)
    equal(len(files), 4)
    name = f"1700000000.{world.ids[0]}-0.mxring"
    equal(files[name], b"Return-Path: <a@example.org>\nDelivered-To: bob@example.com\n"
                       b"Subject: one\n\nFrom here\n>From there\n.\n")
    equal(files[f"1700000000.{world.ids[1]}-1.mxring"],
          b"Return-Path: <>\nDelivered-To: alice@example.com\nno line end\n")
    command("export", "--maildir", box, world.root)
    equal(maildir_of(box), files, "a repeat overwrites")
    equal(os.listdir(box + "/tmp"), [])
    equal(len(world.ls()), 3)


def test_export_raw_and_acknowledged():
    world = World()
    box = world.folder.name + "/Maildir"
    command("drop", world.root, world.ids[0])
    command("export", "--raw", "--ack", "--maildir", box, world.root)
    equal(sorted(maildir_of(box).values()), sorted([b"no line end", b"no line end", LARGE]))
    equal(world.ls(), [])
    text = json.loads(command("cat", "--envelope", world.root, world.ids[2])[0])
    equal(text["recipients"][0]["state"], "exported")
    out, _ = command("export", "--ack", "--maildir", box, world.root)
    assert out.startswith(b"0 messages, 0 copies"), out


def test_export_mbox():
    world = World()
    path = world.folder.name + "/mbox"
    command("export", "--ack", "--mbox", path, world.root)
    with open(path, "rb") as file:
        octets = file.read()
    head = b"From a@example.org Tue Nov 14 22:13:20 2023\nReturn-Path: <a@example.org>\n" \
           b"Delivered-To: bob@example.com\nSubject: one\n\n>From here\n>>From there\n.\n\n"
    equal(octets[:len(head)], head)
    assert b"\nFrom MAILER-DAEMON Tue" in octets
    equal(len(mailbox.mbox(path)), 4)
    equal(world.ls(), [])
    equal(os.path.exists(path + ".part"), False)
    _, text = command("export", "--mbox", path, world.root, status=74)
    assert "File exists" in text, text


def test_export_options():
    world = World()
    for bad in (("export", world.root), ("export", "--mbox", "a", "--maildir", "b", world.root),
                ("export", "--mbox", "a", "--raw", world.root), ("export", "--mbox", "a"),
                ("ls",), ("ls", world.root, "x"), ("verify",), ("stat", "--what", world.root),
                ("cat", world.root), ("nonsense",), ()):
        command(*bad, status=2)
    for good in ("ls", "cat", "export", "verify", "stat", "retry", "drop"):
        out, _ = command(good, "--help")
        assert out.startswith(b"usage: mxring spool " + good.encode()), out


def test_two_exports_at_a_time():
    world = World()
    command("drop", world.root, world.ids[0])
    with open(world.root + "/acks/cli.log", "rb") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        _, text = command("export", "--ack", "--mbox", world.folder.name + "/mbox", world.root,
                          status=74)
        assert "acks/cli.log" in text, text
    equal(len(world.ls()), 2)


def test_verify():
    for is_killed in (False, True):
        world = World(is_killed)
        out, _ = command("verify", world.root)
        assert out.startswith(b"sound: 2 segments, 3 messages"), out
    path = world.two.path  # not closed: the end may be torn
    with open(path, "r+b") as file:
        file.seek(4096 + len(world.two.body))
        file.write(b"XXXX")
    out, _ = command("verify", world.root)
    assert out.startswith(f"tail {path}: ".encode()) and b"\nsound: " in out, out
    with open(path, "r+b") as file:
        file.seek(5000)
        file.write(b"XXXX")
    out, _ = command("verify", world.root)
    assert b"tail " in out and b"\nsound: " in out, out
    equal(len(world.ls()), 2, "a torn batch was not acknowledged")
    with open(world.root + "/0/seg.000000", "r+b") as file:
        file.seek(4096 + 200)
        file.write(b"X")
    out, _ = command("verify", world.root, status=1)
    assert f"damaged {world.root}/0/seg.000000: ".encode() in out, out
    lines = world.ls()
    equal([line.split()[0] for line in lines], [world.ids[1]], "the others are there")


def test_stat():
    world = World()
    command("drop", world.root, world.ids[0])
    numbers = json.loads(command("stat", "--json", world.root)[0])
    equal((numbers["messages"], numbers["recipients"], numbers["done"], numbers["running"]),
          (3, 4, 1, False))
    equal(numbers["segments"],
          {"sealed": 1, "compacted": 0, "open": 1, "damaged": 0, "free": 0})
    text = command("stat", world.root)[0].decode()
    assert "messages    3\n" in text and "4, of which 1 are done" in text, text
    with open(world.root + "/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        equal(json.loads(command("stat", "--json", world.root)[0])["running"], True)


def test_no_spool():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("ls", "stat", "verify"):
            _, text = command(name, folder, status=74)
            assert "there is no spool" in text, text
            command(name, folder + "/nothing", status=74)
        equal(os.listdir(folder), [])
        with open(folder + "/meta", "w") as file:
            file.write("mxring-spool 9\n")
        _, text = command("ls", folder, status=78)
        assert "another version" in text, text


def test_lost_meta():
    world = World()
    os.unlink(world.root + "/meta")
    equal(len(world.ls()), 3)
    _, text = command("ls", world.root)
    assert "meta: it is missing" in text, text
    out, _ = command("verify", world.root, status=1)
    assert out.startswith(b"damaged: "), out


def test_second_directory_is_found():
    world = World()
    second = world.folder.name + "/second"
    os.makedirs(second + "/0")
    os.rename(world.two.path, second + "/0/seg.000001")
    _, text = command("cat", world.root, world.ids[2], status=1)
    with open(world.root + "/second", "w") as file:
        file.write(second + "\n")
    equal(command("cat", world.root, world.ids[2])[0], LARGE)
    os.rename(second, second + ".away")
    _, text = command("ls", world.root)
    assert "second" in text and "No such file" in text, text


def test_closed_output():
    world = World()
    with open("/dev/full", "w") as full:
        done = subprocess.run([MXRING, "spool", "ls", world.root], stdout=full, stderr=subprocess.PIPE,
                              timeout=60, check=False)
    equal(done.returncode, 74)


if __name__ == "__main__":
    run(globals())
