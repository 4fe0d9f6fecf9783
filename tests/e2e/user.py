"""engine.user: files that only root can read are told of by check and at the start, since no reload
can read them."""
import contextlib
import os
import pwd
import signal
import tempfile

from lib_mxring import Client, equal, eventually, mxring, run, serve, skip
from lib_tls import Keys

CONF = """\
engine: {user: nobody}
domains: [example.com]
spool: {durability: none}
users: users
smtpservers:
  - {bind: "127.0.0.1:0", helloName: mx.example, handlerchain: [], verifyIdentity: disabled}
"""


@contextlib.contextmanager
def folder(mode, users_mode):
    """The path of a configuration in a folder of root's, with a file of users."""
    with tempfile.TemporaryDirectory(prefix="mxring-user-") as name:
        for file, text, file_mode in (("mx.yaml", CONF, 0o644),
                                      ("users", "bob@example.com:{PLAIN}x\n", users_mode)):
            with open(f"{name}/{file}", "w", encoding="utf-8") as out:
                out.write(text)
            os.chmod(f"{name}/{file}", file_mode)
        os.chmod(name, mode)
        yield f"{name}/mx.yaml"


def unreadable(path):
    """What check says of it, and what a server says at its start."""
    checked = mxring("check", "-c", path)
    equal(checked.returncode, 0, checked.stderr)
    with serve(path) as server:
        with Client(server.addresses[0]) as client:
            client.command("QUIT", "221")
        server.signal(signal.SIGHUP)
        is_reloaded = eventually(lambda: [line for line in server.lines if "event=reload" in line
                                          and "result=begun" not in line], "the reload")[0]
        server.stop()
        said = [line for line in server.lines if "event=privileges" in line]
    warnings = [line for line in checked.stderr.splitlines() if "engine.user" in line]
    return warnings, said, "result=done" in is_reloaded


def test_a_folder_of_root():
    with folder(0o700, 0o644) as path:
        warnings, said, is_reloaded = unreadable(path)
        equal(is_reloaded, False, "nobody may not look into it")
        for file in (path, path.replace("mx.yaml", "users")):
            where = f"{path}:1:16: warning: engine.user: 'nobody' cannot read {file} "
            assert any(line.startswith(where) and "Permission denied" in line
                       for line in warnings), warnings
            assert any(f"file={file} " in line and "user=nobody" in line and "level=warn" in line
                       and "Permission denied" in line for line in said), said
        equal((len(warnings), len(said)), (2, 2))


def test_a_file_of_root():
    with folder(0o755, 0o600) as path:
        warnings, said, is_reloaded = unreadable(path)
        equal((len(warnings), len(said), is_reloaded), (1, 1, False), warnings)
        assert "/users " in warnings[0] and "/users " in said[0], (warnings, said)


def test_a_secret_of_root():
    with folder(0o755, 0o644) as path:
        secret = os.path.join(os.path.dirname(path), "secret")
        with open(os.open(secret, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write("x\n")
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONF.replace("handlerchain: []", "handlerchain: [{ConfigurationAuthHook: "
                                    "{accounts: [{username: a@example.com, passwords: "
                                    "['file:secret']}]}}]"))
        warnings, said, is_reloaded = unreadable(path)
        equal((len(warnings), len(said), is_reloaded), (1, 1, False), warnings)
        assert f" {secret} " in warnings[0] and f"={secret} " in said[0], (warnings, said)


def test_keys_of_root():
    """A reload reads keys, but not the one of session tickets."""
    with folder(0o755, 0o644) as path, Keys() as keys:
        os.chmod(keys.name, 0o755)
        os.chmod(keys.path("ecdsa.pem"), 0o644)
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONF.replace("user: nobody", f"user: nobody, tlsTicketKeyFile: {keys.path('rsa.key')}")
                       .replace("handlerchain: []", f"handlerchain: [], {keys.tls()}"))
        warnings, said, is_reloaded = unreadable(path)
        equal((len(warnings), len(said), is_reloaded), (1, 1, False), warnings)
        assert f" {keys.path('ecdsa.key')} " in warnings[0], warnings
        os.chown(keys.path("ecdsa.key"), *pwd.getpwnam("nobody")[2:4])
        equal(unreadable(path), ([], [], True))


def test_all_can_be_read():
    with folder(0o755, 0o644) as path:
        equal(unreadable(path), ([], [], True))


def test_a_relative_path():
    with folder(0o755, 0o600) as path:
        os.chdir(os.path.dirname(path))
        try:
            checked = mxring("check", "-c", "mx.yaml")
        finally:
            os.chdir("/")
        equal(checked.returncode, 0)
        assert "mx.yaml:1:16: warning: engine.user: 'nobody' cannot read users " in checked.stderr, \
            checked.stderr


def test_nobody_of_that_name():
    with folder(0o755, 0o644) as path:
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONF.replace("nobody", "mxring-nobody"))
        checked = mxring("check", "-c", path)
        equal(checked.returncode, 0)
        assert "engine.user: 'mxring-nobody': no such user here" in checked.stderr, checked.stderr


if os.geteuid() != 0:
    skip("only root can give up root")
run(globals())
