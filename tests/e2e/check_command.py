"""mxring check: every problem with its position, --dump, and the generated reference."""
import re

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
