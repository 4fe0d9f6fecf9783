"""The command line: help, and each wrong word is refused with a reason and the right status."""
from lib_mxring import equal, mxring, run

TOO_MANY = [f"127.0.0.1:{port}" for port in range(20000, 20065)]
# arguments of sink, exit status, what the message says
WRONG = [
    (["2525"], 2, "'2525': not an address"),
    ([""], 2, "'': not an address"),
    (["localhost"], 2, "'localhost': not an address"),
    (["127.0.0.1:0", "127.0.0.1"], 2, "'127.0.0.1': not an address"),
    (["127.0.0.1:65536"], 2, "'127.0.0.1:65536': not an address"),
    (TOO_MANY, 2, "more than 64 addresses"),
    (["--", *TOO_MANY], 2, "more than 64 addresses"),
    (["--tls-cert", "x.pem"], 2, "--tls-cert and --tls-key go together"),
    (["--tls-key", "x.pem"], 2, "--tls-cert and --tls-key go together"),
    (["--tls"], 2, "--tls needs --tls-cert and --tls-key"),
    (["--tls-client-ca", "x.pem"], 2, "--tls-client-ca needs --tls-cert and --tls-key"),
    (["--hostname", ""], 2, "'': not a host name"),
    (["--hostname", "a b"], 2, "'a b': not a host name"),
    (["--hostname", "a_b"], 2, "'a_b': not a host name"),
    (["--hostname", "192.0.2.1"], 2, "'192.0.2.1': not a host name"),
    (["--hostname", "x" * 64], 2, "not a host name"),
    (["--workers", "0"], 2, "'0': a number from 1 to 1024"),
    (["--workers", "-1"], 2, "'-1': a number"),
    (["--workers", "-18446744073709551614"], 2, "a number"),  # 2, where numbers wrap
    (["--workers", "18446744073709551618"], 2, "a number"),
    (["--workers", " 2"], 2, "' 2': a number"),
    (["--workers", "+2"], 2, "'+2': a number"),
    (["--workers", "2x"], 2, "'2x': a number"),
    (["--workers", ""], 2, "'': a number"),
    (["--max-connections", "1000001"], 2, "from 0 to 1000000"),
    (["--batch-wait", "10001"], 2, "from 1 to 10000"),
    (["--batch-wait", "-18446744073709551606"], 2, "a number"),
    (["--foo"], 2, "unrecognized option '--foo'"),
    (["--workers"], 2, "option '--workers' requires an argument"),
]


def test_certificates_that_are_not_there():
    result = mxring("sink", "--tls-cert", "/nonexistent/c", "--tls-key", "/nonexistent/k", "127.0.0.1:0")
    equal(result.returncode, 78)
    for text in ("certificates: '/nonexistent/c'", "privateKey: '/nonexistent/k'"):
        assert text in result.stderr, result.stderr


def test_help():
    for command in ("serve", "sink", "check", "probe"):
        for option in ("--help", "-h"):
            result = mxring(command, option)
            equal((result.returncode, result.stderr), (0, ""), f"{command} {option}")
            assert result.stdout.startswith(f"usage: mxring {command}"), result.stdout
    for option in ("--help", "-h"):
        result = mxring(option)
        equal((result.returncode, result.stderr), (0, ""), option)
        assert result.stdout.startswith("usage: mxring COMMAND"), result.stdout


def test_messages_name_the_program():
    for command in ("serve", "sink", "check", "probe"):
        result = mxring(command, "--foo")
        equal((result.returncode, result.stdout), (2, ""), command)
        equal(result.stderr.split("\n")[0], f"mxring {command}: unrecognized option '--foo'")
    for command in ("fixture",):
        result = mxring(command)
        equal((result.returncode, result.stderr),
              (69, f"mxring {command} is not available in this version\n"))


def test_wrong_words_of_sink():
    for arguments, status, text in WRONG:
        result = mxring("sink", *arguments)
        equal((result.returncode, result.stdout), (status, ""), f"{arguments}: {result.stderr}")
        reason, *more = result.stderr.splitlines()
        assert reason.startswith("mxring sink: ") and text in reason, reason
        assert more in ([], ["mxring sink --help lists the options"]), more


run(globals())
