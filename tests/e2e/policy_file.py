"""What JDBCGreylistHandler knows outlives the server: stopped, killed, from a file that is torn, and
where there is nowhere to write it."""
import os
import shutil
import signal
import subprocess
import tempfile

from lib_mxring import MXRING, Client, equal, eventually, run, serve, write_config

NEW = "451 4.4.3 Temporary rejected: Please try again later"
EARLY = "451 4.4.3 Temporary rejected: Reconnect to fast. Please try again later"


class Folder:
    def __enter__(self):
        self.path = tempfile.mkdtemp()
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def config(self, engine="", spool=None, block="1h"):
        spool = spool or f"{{directory: {self.path}/spool, segmentSize: 4M, reserve: 0}}"
        return write_config(f"""\
engine: {{workers: 2{engine}}}
domains: [example.com]
spool: {spool}
smtpservers:
  - bind: "127.0.0.1:0"
    helloName: mx.example
    verifyIdentity: disabled
    handlerchain: [{{JDBCGreylistHandler: {{tempBlockTime: {block}, unseenLifeTime: 4h}}}}]
""")

    @property
    def file(self):
        return f"{self.path}/spool/policy"


def rcpt(server, recipient="bob@example.com"):
    with Client((server.host, server.port)) as client:
        client.command("EHLO client.test", "250")
        client.command("MAIL FROM:<a@x.test>", "250")
        client.send(f"RCPT TO:<{recipient}>\r\n")
        return client.reply().rstrip()


def loaded(server):
    server.stop()
    return next(line for line in server.lines if "event=policy loaded=" in line)


def test_stopped():
    with Folder() as folder:
        for step, wanted in (("1h", NEW), ("1h", EARLY), ("1ms", "250"), ("1h", "250")):
            with serve(folder.config(block=step)) as server:
                equal(rcpt(server)[:len(wanted)], wanted, step)
                server.stop()
        assert os.path.exists(folder.file)
        equal(os.stat(folder.file).st_mode & 0o777, 0o600)
        for command in ("verify", "ls", "stat"):
            subprocess.run([MXRING, "spool", command, f"{folder.path}/spool"], check=True,
                           stdout=subprocess.DEVNULL)


def test_killed():
    with Folder() as folder:
        path = folder.config(", policySave: 100ms")
        with serve(path) as server:
            equal(rcpt(server), NEW)
            eventually(lambda: os.path.exists(folder.file) and os.path.getsize(folder.file) > 100,
                       "it is written while the server runs")
            server.signal(signal.SIGKILL)
            server.process.wait()
        with serve(path) as server:
            equal(rcpt(server), EARLY)
            assert "loaded=1 " in loaded(server)


def test_torn():
    with Folder() as folder:
        path = folder.config()
        with serve(path) as server:
            equal(rcpt(server), NEW)
            server.stop()
        whole = os.path.getsize(folder.file)
        for what in (whole - 1, whole // 2, 10, 0):
            os.truncate(folder.file, what)
            with serve(path) as server:
                assert server.logged("event=policy") and server.logged("damaged"), server.lines
                equal(rcpt(server)[:3], "451", "it serves all the same")
                server.stop()
            with serve(path) as server:
                assert not server.logged("damaged"), "and writes a whole one"
                equal(rcpt(server), EARLY)
                server.stop()


def test_nowhere():
    with Folder() as folder:
        none = "{durability: none}"
        for engine in (", policySave: 0s", ""):
            with serve(folder.config(engine, none)) as server:
                equal(rcpt(server), NEW, "no spool, no file")
                server.stop()
                assert not server.logged("event=policy"), server.lines
        own = f", policyFile: {folder.path}/own, policySave: 200ms"
        for wanted in (NEW, EARLY):
            with serve(folder.config(own, none)) as server:
                equal(rcpt(server), wanted, "a file of one's own")
                server.stop()
        lost = f", policyFile: {folder.path}/not/there, policySave: 100ms"
        with serve(folder.config(lost, none)) as server:
            equal(rcpt(server), NEW)
            eventually(lambda: server.logged("No such file or directory"), "it is said")
            os.mkdir(f"{folder.path}/not")
            eventually(lambda: server.logged("written again"), "and that it works again")
            server.stop()
        os.mkdir(f"{folder.path}/folder")
        with serve(folder.config(f", policyFile: {folder.path}/folder", none)) as server:
            assert server.logged("Is a directory"), server.lines
            equal(rcpt(server), NEW)
            server.stop()


run(globals())
