"""mxring check: every problem with its position, --dump, and the generated reference."""
import os
import re
import tempfile

from lib_mxring import SOURCE, config, equal, mxring, run, write_config

BROKEN = """\
engine:
  workers: many
  nonsense: 1
domains: [example.com, "not a name!"]
spool: {durability: sometimes}
smtpservers:
  - bind: 127.0.0.1:0
    maxRecipients: -1
    connectionTimout: 5m
    handlerchain: []
  - bind: 127.0.0.1:99999
lmtpservers:
  - bind: 127.0.0.1:0
    bind: 127.0.0.1:1
    handlerchain: []
"""


def positions(text, path):
    found = re.findall(rf"^{re.escape(path)}:(\d+):(\d+): ", text, re.M)
    return [(int(line), int(column)) for line, column in found]


def test_valid():
    path = config(lmtp="")
    result = mxring("check", "-c", path)
    equal((result.returncode, result.stdout, result.stderr), (0, "", ""))


def test_all_problems_are_listed():
    path = write_config(BROKEN)
    result = mxring("check", "-c", path)
    equal(result.returncode, 1)
    found = positions(result.stderr, path)
    equal({line for line, _ in found}, {2, 3, 4, 5, 8, 9, 11, 14}, result.stderr)
    equal(found, sorted(found), "in the order of the file")
    assert "connectionTimeout" in result.stderr, "the nearest name"


def test_syntax_error():
    path = write_config("engine: {workers: 2\nsmtpservers: []\n")
    result = mxring("check", "-c", path)
    equal(result.returncode, 1)
    equal(len(positions(result.stderr, path)), 1, result.stderr)


def test_second_document():
    path = write_config("engine: {workers: many}\n---\nlog: {}\n")
    result = mxring("check", "-c", path)
    equal(result.returncode, 1)
    equal(positions(result.stderr, path), [(1, 19), (2, 1)], result.stderr)


def test_spool():
    path = write_config("spool:\n  durability: fsync\n  directory: /var/spool/mxring\n"
                        "  segmentSize: 48M\n")
    result = mxring("check", "-c", path)
    equal(result.returncode, 1)
    equal(positions(result.stderr, path), [(4, 16)], result.stderr)
    assert "power of two" in result.stderr, result.stderr


def test_too_many_addresses():
    """serve could not bind them, so check must not pass them."""
    text = "spool: {durability: none}\nsmtpservers:\n"
    for n in range(1, 5):  # 4 servers with 64 addresses each
        bind = ", ".join(f"127.0.0.{n}:{port}" for port in range(2000, 2064))
        text += f"  - {{handlerchain: [], bind: '{bind}'}}\n"
    path = write_config(text)
    for command in ("check", "serve"):
        result = mxring(command, "-c", path)
        equal(result.returncode, {"check": 1, "serve": 78}[command], result.stderr)
        equal(positions(result.stderr, path), [(6, 30)], result.stderr)


def test_missing_file():
    result = mxring("check", "-c", "/nonexistent/file.yaml")
    equal(result.returncode, 1)
    assert "/nonexistent/file.yaml" in result.stderr and "No such file" in result.stderr


def test_environment():
    path = write_config("domains: ['${env:MXRING_TEST_DOMAIN}']\n")
    result = mxring("check", "-c", path)
    equal(result.returncode, 0, "an unset variable is a warning here")
    assert "MXRING_TEST_DOMAIN" in result.stderr, result.stderr
    result = mxring("serve", "-c", path)
    equal(result.returncode, 78, "... and an error there")


def test_dump_round_trip():
    path = config(engine="maxUnsent: 32K", lmtp="maxRecipients: 7",
                  smtp="connectionTimeout: 2m, authorizedAddresses: 10.0.0.0/8")
    first = mxring("check", "-c", path, "--dump")
    equal(first.returncode, 0, first.stderr)
    for text in ("maxRecipients: 7", "10.0.0.0/8", "dataTimeout:", "maxErrors: 100"):
        assert text in first.stdout, text
    second = mxring("check", "-c", write_config(first.stdout), "--dump")
    equal(second.returncode, 0, second.stderr)
    equal(second.stdout, first.stdout)


# What a dump of these says of itself is what they say: not more, since it holds every default.
DUMPED = [
    "{bind: '127.0.0.1:0', handlerchain: []}",
    "{bind: '127.0.0.1:0', handlerchain: [], coreHandlers: noAuth}",
    "{bind: '127.0.0.1:0', handlerchain: [], coreHandlers: noAuth, auth: {announce: always}}",
    "{bind: '127.0.0.1:0', handlerchain: [], proxyRequired: true, proxyFrom: 10.0.0.0/8}",
    "{bind: '127.0.0.1:0', handlerchain: [], proxyRequired: true, connectionLimitPerIP: 3}",
    "{bind: '127.0.0.1:0', handlerchain: [], proxyFrom: 10.0.0.0/8, proxyCountsClients: true}",
    "{bind: '127.0.0.1:0', handlerchain: [], proxyFirst: false}",
    "{bind: '127.0.0.1:0', handlerchain: [], auth: {announce: always, saslMechanisms: [LOGIN]}}",
    "{bind: '0.0.0.0:0', handlerchain: [], authorizedAddresses: 10.0.0.0/8}",
    "{bind: '127.0.0.1:0', handlerchain: [], auth: {saslMechanisms: [SCRAM-SHA-256]}}",
    "{bind: '127.0.0.1:0', handlerchain: [{ConfigurationAuthHook: {accounts: [{username: "
    "bob@example.com, passwords: ['file:secret']}]}}]}",
]


def warnings_of(checked):
    return sorted(re.sub(r"^.*?:\d+:\d+: ", "", line) for line in checked.stderr.splitlines())


def test_dump_has_the_same_warnings():
    users = "users: users\naliases: ../aliases\n"
    for head in ("", users):
        for server in DUMPED:
            with tempfile.TemporaryDirectory() as folder:
                os.makedirs(f"{folder}/a/b")
                os.makedirs(f"{folder}/c")
                for name, text in (("a/b/mx.yaml", f"{head}smtpservers:\n  - {server}\n"),
                                   ("a/b/users", "bob@example.com:$6$x$" + "x" * 86 + "\n"),
                                   ("a/aliases", ""), ("a/b/secret", "x\n")):
                    with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                        file.write(text)
                os.chmod(f"{folder}/a/b/users", 0o600)
                first = mxring("check", "-c", "b/mx.yaml", "--dump", cwd=f"{folder}/a")
                equal(first.returncode, 0, first.stderr)
                with open(f"{folder}/c/mx.yaml", "w", encoding="utf-8") as file:
                    file.write(first.stdout)
                second = mxring("check", "-c", f"{folder}/c/mx.yaml", "--dump")
                equal(second.returncode, 0, second.stderr)
                equal(second.stdout, first.stdout, server)
                equal(warnings_of(second), warnings_of(first), server)
                where = os.path.realpath(folder)
                equal(f'users: "{where}/a/b/users"\n' in first.stdout, bool(head), first.stdout)
                equal(f'aliases: "{where}/a/b/../aliases"\n' in first.stdout, bool(head))


def test_what_has_no_effect_is_said():
    """Only of what is not the default anyway."""
    for server, word in ((DUMPED[2], "auth has no effect with coreHandlers: noAuth"),
                         (DUMPED[5], "proxyFrom has no effect"),
                         (DUMPED[5], "proxyCountsClients has no effect"),
                         (DUMPED[6], "proxyFirst has no effect"),
                         (DUMPED[7], "auth has no effect without users")):
        checked = mxring("check", "-c", write_config(f"smtpservers:\n  - {server}\n"))
        assert word in checked.stderr, (server, checked.stderr)
    for server in (DUMPED[0], DUMPED[1]):
        checked = mxring("check", "-c", write_config(f"smtpservers:\n  - {server}\n"))
        assert "no effect" not in checked.stderr, checked.stderr


def test_reference_is_the_document():
    result = mxring("check", "--reference")
    equal(result.returncode, 0)
    with open(f"{SOURCE}/docs/CONFIGURATION.md", encoding="utf-8") as file:
        assert result.stdout == file.read(), \
            "write it anew: mxring check --reference > docs/CONFIGURATION.md"


def test_usage():
    for arguments in (["check"], ["check", "-c"], ["check", "-c", "x", "y"], ["check", "--foo"]):
        equal(mxring(*arguments).returncode, 2, arguments)


run(globals())
