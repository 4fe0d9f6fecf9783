"""smtp-source (Postfix) against mxring sink: every message and every octet is counted."""
import subprocess

from lib_mxring import equal, run, sink, tool, write_config

SMTP_SOURCE = tool("smtp-source")
MESSAGES = 20000


def source(address, *arguments):
    subprocess.run([SMTP_SOURCE, *arguments, "-f", "a@example.org", "-t", "bob@example.com",
                    address], check=True, timeout=240)


def octets_of_one(*arguments):
    """What one message of this kind counts: smtp-source adds header lines of its own."""
    with sink("--workers", "2") as server:
        source(server.address, "-m", "1", *arguments)
        return server.stop()["bytes"]


def check(arguments, messages, recipients=None, server_arguments=()):
    size = octets_of_one(*[word for word in arguments if word not in ("-d", "-L")])
    with sink("--workers", "2", *server_arguments) as server:
        source(server.address, "-m", str(messages), *arguments)
        totals = server.stop()
    equal(totals["messages"], messages, "messages")
    equal(totals["recipients"], recipients or messages, "recipients")
    # smtp-source writes numbers of different lengths into the header of each message
    assert abs(totals["bytes"] / messages - size) < 16, (size, totals["bytes"])
    equal(totals["counters"]["messages_refused"], 0, "refused")
    equal(totals["counters"]["replies_5xx"], 0, "5xx")
    return totals


def test_connections_are_used_again():
    totals = check(["-s", "50", "-l", "4096", "-d"], MESSAGES)
    equal(totals["connections"], 50, "connections")


def test_a_connection_for_each_message():
    totals = check(["-s", "50", "-l", "4096"], MESSAGES // 4)
    equal(totals["connections"], MESSAGES // 4, "connections")


def test_lmtp():
    check(["-L", "-s", "20", "-l", "1024", "-d"], MESSAGES // 4, server_arguments=["--lmtp"])


def test_several_recipients():
    check(["-s", "10", "-r", "5", "-l", "512", "-d"], 1000, recipients=5000)


def test_several_recipients_of_lmtp():
    check(["-L", "-s", "10", "-r", "5", "-l", "512", "-d"], 1000, recipients=5000,
          server_arguments=["--lmtp"])


def test_every_octet_of_a_file():
    text = "Subject: dots\n\n.\n..\n.x\n" + "line\n" * 500
    path = write_config(text)
    with sink("--workers", "2") as server:
        source(server.address, "-s", "20", "-m", "4000", "-F", path, "-d")
        totals = server.stop()
    equal(totals["messages"], 4000, "messages")
    # smtp-source ends the content with a CRLF of its own
    equal(totals["bytes"], 4000 * (len(text.replace("\n", "\r\n")) + 2), "octets")


def test_large_messages():
    totals = check(["-s", "4", "-l", str(2 << 20), "-d"], 20)
    assert totals["bytes"] >= 20 * (2 << 20) * 0.9


run(globals())
