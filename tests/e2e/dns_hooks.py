"""Hooks that ask the DNS, against a name server with normal, slow, failing, silent, cut and lying
answers. Clients have addresses of their own by PROXY headers."""
import subprocess
import sys
import time

from lib_dns import NameServer
from lib_dns_hooks import SPF, ZONE, Session, config, mails
from lib_mxring import SOURCE, equal, eventually, mxring, run, serve, write_config

RESTRICTED = ("554 5.7.1 Rejected: unauthenticated e-mail from /{} is restricted.  Contact the "
              "postmaster for details.")


def test_dnsrbl():
    chain = ("DNSRBLHandler: {rblservers: {whitelist: [white.test], blacklist: [bl.test, other.test]}, "
             "timeout: 3s, onFailure: tempfail}")
    unknown = "451 4.7.1 Temporary problem. Please try again later"
    answers = {
        "192.0.2.1": RESTRICTED.format("192.0.2.1"), "192.0.2.2": "250", "192.0.2.3": unknown,
        "192.0.2.4": RESTRICTED.format("192.0.2.4"), "192.0.2.5": unknown, "192.0.2.6": "250",
        "192.0.2.7": unknown, "192.0.2.8": RESTRICTED.format("192.0.2.8"), "192.0.2.9": "250",
        "192.0.2.10": unknown, "192.0.2.11": RESTRICTED.format("192.0.2.11"),
        "192.0.2.12": RESTRICTED.format("192.0.2.12"), "192.0.2.13": "250",
        "2001:db8::1": RESTRICTED.format("2001:db8::1"), "2001:db8::2": "250",
    }
    with NameServer(ZONE) as dns, serve(config("{" + chain + "}", dns.port)) as server:
        mails(server, {(ip, "a@mx.test", "c.test"): wanted for ip, wanted in answers.items()})
        with Session(server, "192.0.2.1") as session:
            equal(session.mail(), RESTRICTED.format("192.0.2.1"), "MAIL")
            asked = len(dns.asked)
            session.command("RSET", "250")
            equal(session.mail(""), RESTRICTED.format("192.0.2.1"), "for <>, too, once more")
            equal(len(dns.asked), asked, "asked once for a connection")
        server.stop()


def test_dnsrbl_detail():
    chain = "{DNSRBLHandler: {rblservers: {blacklist: bl.test}, getDetail: true}}"
    with NameServer(ZONE) as dns, serve(config(chain, dns.port)) as server:
        mails(server, {
            ("192.0.2.1", "a@mx.test", "c.test"): "554 5.7.1 192.0.2.1 sends junk",
            ("192.0.2.2", "a@mx.test", "c.test"): RESTRICTED.format("192.0.2.2"),
            ("192.0.2.8", "a@mx.test", "c.test"): "554 5.7.1",
            ("192.0.2.3", "a@mx.test", "c.test"): "250",
        })
        server.stop()


def test_spf():
    chain = "{SPFHandler: {timeout: 5s}}"
    with NameServer(ZONE) as dns, serve(config(chain, dns.port)) as server:
        later = "451 4.4.3 Temporarily rejected: Problem on SPF lookup"
        mails(server, {
            ("192.0.2.1", "a@pass.test", "c.test"): "250",
            ("192.0.2.2", "a@pass.test", "c.test"):
                "554 5.7.1 192.0.2.2 may not send mail for pass.test, says its SPF record",
            ("192.0.2.2", "a@explain.test", "c.test"): "554 5.7.1 192.0.2.2 is not of explain.test",
            ("192.0.2.2", "a@soft.test", "c.test"): "250",
            ("192.0.2.2", "a@broken.test", "c.test"):
                "554 5.7.1 The SPF record of broken.test is not valid",
            ("192.0.2.2", "a@failing.test", "c.test"): later,
            ("192.0.2.2", "a@silent.test", "c.test"): later,
            ("192.0.2.2", "a@nothing.test", "c.test"): "250",
            ("192.0.2.1", "a@deep.test", "c.test"): "250",
            ("192.0.2.2", "a@deep.test", "c.test"): "554",
            ("192.0.2.1", "a@cut.test", "c.test"): "250",
            ("192.0.2.2", "a@cut.test", "c.test"): "554",
            ("192.0.2.1", "a@lied.test", "c.test"): "250",
            ("192.0.2.2", "", "explain.test"): "250",
        })
        server.stop()


def test_spf_options():
    chain = "{SPFHandler: {blockSoftFail: true, blockPermError: false, onFailure: accept}}"
    with NameServer(ZONE) as dns:
        smtp = "authorizedAddresses: 192.0.2.200"
        with serve(config(chain, dns.port, smtp=smtp)) as server:
            mails(server, {
                ("192.0.2.2", "a@soft.test", "c.test"): "554",
                ("192.0.2.2", "a@broken.test", "c.test"): "250",
                ("192.0.2.2", "a@failing.test", "c.test"): "250",
                ("192.0.2.200", "a@explain.test", "c.test"): "250",
            })
            server.stop()


def test_resolvable_helo():
    chain = "{ResolvableEhloHeloHandler: {timeout: 3s}}"
    refused = "501 5.5.4 Provided EHLO/HELO Optional[{}] can not resolved."
    with NameServer(ZONE) as dns, serve(config(chain, dns.port)) as server:
        mails(server, {
            ("192.0.2.1", "a@mx.test", "mail.client.test"): "250",
            ("192.0.2.1", "a@mx.test", "six.client.test"): "250",
            ("192.0.2.1", "a@mx.test", "[192.0.2.1]"): "250",
            ("192.0.2.1", "a@mx.test", "no.client.test"): refused.format("no.client.test"),
            ("192.0.2.1", "a@mx.test", "empty.client.test"): refused.format("empty.client.test"),
            ("192.0.2.1", "a@mx.test", "failing.client.test"): "451 4.7.1",
        })
        with Session(server, hello="no.client.test") as session:
            session.command("MAIL FROM:<a@mx.test>", "501")
            session.command("RSET", "250")
            session.command("MAIL FROM:<a@mx.test>", "501")
            session.command("EHLO mail.client.test", "250")
            session.command("MAIL FROM:<a@mx.test>", "250")
            session.command("RSET", "250")
            session.command("EHLO no.client.test", "250")
            session.command("MAIL FROM:<a@mx.test>", "501")
        server.stop()


def test_reverse_helo():
    chain = "{ReverseEqualsEhloHeloHandler: {timeout: 3s}}"
    refused = "501 5.5.4 Provided EHLO/HELO {} is not the name of {}"
    with NameServer(ZONE) as dns, serve(config(chain, dns.port)) as server:
        mails(server, {
            ("192.0.2.1", "a@mx.test", "MAIL.client.test"): "250",
            ("192.0.2.1", "a@mx.test", "six.client.test"): refused.format("six.client.test", "192.0.2.1"),
            ("192.0.2.2", "a@mx.test", "mail.client.test"): refused.format("mail.client.test", "192.0.2.2"),
            ("192.0.2.3", "a@mx.test", "mail.client.test"): "451 4.7.1",
            ("192.0.2.2", "a@mx.test", "[192.0.2.2]"): "250",
            ("192.0.2.2", "a@mx.test", "[192.0.2.3]"): "501 5.5.4",
        })
        server.stop()


def test_sender_domain():
    chain = "{ValidSenderDomainHandler: {timeout: 3s}}"
    refused = ("501 5.1.7 sender MaybeSender{mailAddress=Optional[a@%s]} contains a domain with no "
               "valid MX records")
    with NameServer(ZONE) as dns, serve(config(chain, dns.port)) as server:
        mails(server, {
            ("192.0.2.1", "a@mx.test", "c.test"): "250",
            ("192.0.2.1", "a@a.test", "c.test"): "250",
            ("192.0.2.1", "a@aaaa.test", "c.test"): "250",
            ("192.0.2.1", "", "c.test"): "250",
            ("192.0.2.1", "a@null.test", "c.test"): refused % "null.test",
            ("192.0.2.1", "a@text.test", "c.test"): refused % "text.test",
            ("192.0.2.1", "a@no.test", "c.test"): refused % "no.test",
            ("192.0.2.1", "a@failing.test", "c.test"): "451 4.7.1",
            ("192.0.2.1", "a@silent.test", "c.test"): "451 4.7.1",
        })
        server.stop()


def test_rcpt_mx():
    chain = "{ValidRcptMX: {invalidMXNetworks: '127.0.0.0/8, ::1', timeout: 3s}}"
    smtp = "authorizedAddresses: 192.0.2.0/24"
    refused = "530 5.7.1 Invalid MX 192.0.2.1 for domain {}. Reject email"
    with NameServer(ZONE) as dns, serve(config(chain, dns.port, smtp=smtp)) as server:
        with Session(server) as session:
            assert session.mail().startswith("250")
            for domain, wanted in {
                    "mx.test": "250", "a.test": "250", "no.test": "250", "null.test": "250",
                    "failing.test": "250", "example.com": "250",
                    "inside.test": refused.format("inside.test"),
                    "six.inside.test": refused.format("six.inside.test"),
                    "self.inside.test": refused.format("self.inside.test")}.items():
                reply = session.rcpt("x@" + domain)
                assert reply.startswith(wanted), f"{domain}: {reply}"
        server.stop()


def counters(server):
    """Of the resolver, when the server has stopped."""
    line = next(line for line in server.lines if "event=dns " in line and "questions=" in line)
    return {key: int(value) for key, value in
            (item.split("=", 1) for item in line.split() if item.split("=", 1)[1].isdigit())}


def test_cache():
    chain = "{SPFHandler: {}}"
    with NameServer(ZONE) as dns, serve(config(chain, dns.port)) as server:
        for _ in range(5):
            with Session(server) as session:
                assert session.mail("a@pass.test").startswith("250")
                session.command("RSET", "250")
                assert session.mail("a@no.test").startswith("250")
        equal(dns.count("pass.test"), 1, "records are kept")
        equal(dns.count("no.test"), 1, "so is what does not exist (RFC 2308)")
        server.stop()
        sums = counters(server)
        equal((sums["questions"], sums["cache_hits"], sums["sent"]), (10, 8, 2), "counters")


def test_time_out_of_a_hook():
    """Its onFailure decides; the answer that comes later is nobody's."""
    zone = {**ZONE, "held.test": {"TXT": [SPF + " -all"], "do": "held"}}
    chain = "{SPFHandler: {timeout: 250ms, onFailure: %s}}"
    verdicts = {"accept": "250", "tempfail": "451 4.7.1", "reject": "550 5.7.1"}
    for on_failure, wanted in verdicts.items():
        with NameServer(zone) as dns:
            rows = {"timeout": "30s", "deadline": "30s"}
            with serve(config(chain % on_failure, dns.port, rows)) as server, Session(server) as session:
                session.send("MAIL FROM:<a@held.test>\r\n")
                session.expect(wanted, on_failure)
                dns.release()
                session.command("RSET", "250")
                assert session.mail("a@pass.test").startswith("250"), "the next one"
                session.command("QUIT", "221")
                server.stop()
                line = next(line for line in server.lines if "name=SPFHandler" in line)
                assert "timeouts=1" in line, line


def is_sanitized(server):
    """A sanitizer keeps what was freed for a while."""
    with open(f"/proc/{server.process.pid}/maps", encoding="ascii", errors="replace") as file:
        return any(name in line for line in file for name in ("libasan", "libtsan"))


def test_dead_resolver():
    """The verdict of onFailure within the time-out, flat memory, one line in the log, and it goes on
    by itself when the resolver is back."""
    chain = ("{SPFHandler: {timeout: 1s, onFailure: tempfail}}, "
             "{DNSRBLHandler: {rblservers: {blacklist: bl.test}, timeout: 1s, onFailure: accept}}")
    with NameServer(ZONE) as dns, serve(config(chain, dns.port, {"failureTtl": 0, "minTtl": 0})) as server:
        with Session(server, "192.0.2.13") as session:
            assert session.mail("a@soft.test").startswith("250")
        dns.is_silent = True
        before = 0
        for number in range(4):
            sessions = [Session(server) for _ in range(50)]
            for at, session in enumerate(sessions):
                session.send(f"MAIL FROM:<a@dead{number}-{at}.test>\r\n")
            for session in sessions:
                session.expect("451 4", "SPF with a dead resolver")
                session.close()
            if number == 0:
                before = server.rss_kib()
        eventually(lambda: server.logged("event=dns") and server.logged("silent"), "a line in the log")
        most = before + (65536 if is_sanitized(server) else 8192)
        assert server.rss_kib() < most, f"{before} KiB grew to {server.rss_kib()} KiB"
        with Session(server) as session:  # known, but its TTL is over at once
            session.send("MAIL FROM:<a@explain.test>\r\n")
            session.expect("451 4")
        dns.is_silent = False
        with Session(server, "192.0.2.2") as session:
            eventually(lambda: session.mail("a@explain.test").startswith("554 5.7.1 192.0.2.2 is not"),
                       "it goes on by itself")
        eventually(lambda: server.logged("answers again"), "a line in the log")
        server.stop()
        sums = counters(server)
        assert sums["timeouts"] > 0 and sums["unanswered"] == 0, sums


def test_many_at_once():
    """Many clients wait for a list at the same time, and nobody else is held up."""
    zone = dict(ZONE)
    for host in range(200):
        zone[f"{host}.100.51.198.bl.test"] = {"A": ["127.0.0.2"], "do": "held"}
    chain = "{DNSRBLHandler: {rblservers: {blacklist: bl.test}, timeout: 60s}}"
    with NameServer(zone) as dns, serve(config(chain, dns.port, {"timeout": "60s", "deadline": "60s"})) as server:
        sessions = [Session(server, f"198.51.100.{host}") for host in range(200)]
        for session in sessions:
            session.send("MAIL FROM:<a@mx.test>\r\n")
        eventually(lambda: len(dns.held) == 200, "all of them ask")
        with Session(server, "192.0.2.13") as session:
            assert session.mail().startswith("250"), "somebody else"
        dns.release()
        for session in sessions:
            session.expect("554 5.7.1")
            session.close()
        server.stop()


def test_client_leaves():
    """The connection goes while its question is under way."""
    chain = "{DNSRBLHandler: {rblservers: {blacklist: bl.test}}}, {SPFHandler: {}}"
    with NameServer(ZONE) as dns, serve(config(chain, dns.port)) as server:
        for _ in range(20):
            session = Session(server, "192.0.2.4")
            session.send("MAIL FROM:<a@deep.test>\r\n")
            session.close()
        with Session(server, "192.0.2.13") as session:
            assert session.mail("a@pass.test").startswith("554")
        server.stop()


JAMES = "org.apache.james.smtpserver.fastfail."
XML = f"""<smtpserver><bind>127.0.0.1:2525</bind><handlerchain>
<handler class="{JAMES}DNSRBLHandler"><rblservers><whitelist>w.test</whitelist>
<blacklist>a.test</blacklist><blacklist>b.test.</blacklist></rblservers><getDetail>true</getDetail></handler>
<handler class="{JAMES}SPFHandler"><blockSoftFail>true</blockSoftFail></handler>
<handler class="{JAMES}ResolvableEhloHeloHandler"/>
<handler class="{JAMES}ReverseEqualsEhloHeloHandler"/>
<handler class="{JAMES}ValidSenderDomainHandler"/>
<handler class="{JAMES}ValidRcptMX"><invalidMXNetworks>127.0.0.0/8, 10.0.0.0/8</invalidMXNetworks></handler>
<handler class="{JAMES}URIRBLHandler"><uriRblServers><server>u.test</server></uriRblServers></handler>
</handlerchain></smtpserver>
"""


def test_converted():
    """What the converter makes of James's classes is what the server takes."""
    path = write_config("")[:-5]
    with open(path + ".xml", "w", encoding="ascii") as file:
        file.write(XML.replace("b.test.", "b.test"))
    command = [sys.executable, f"{SOURCE}/scripts/james2yaml.py", path + ".xml", "-o", path + ".out.yaml"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    equal(result.returncode, 2, result.stderr)
    checked = mxring("check", "-c", path + ".out.yaml")
    equal(checked.returncode, 0, checked.stderr)


run(globals())
