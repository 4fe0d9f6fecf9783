"""What the tests of hooks that ask the DNS share: a zone, a configuration, clients with addresses of their
own by PROXY headers."""
from lib_mxring import Client, write_config

SPF = "v=spf1"
ZONE = {
    # block lists
    "1.2.0.192.bl.test": {"A": ["127.0.0.2"], "TXT": ["192.0.2.1 sends junk"]},
    "2.2.0.192.bl.test": {"A": ["127.0.0.2"]},
    "2.2.0.192.white.test": {"A": ["127.0.0.9"]},
    "3.2.0.192.bl.test": {"do": "servfail"},
    "4.2.0.192.bl.test": {"A": ["127.0.0.2"], "do": "slow"},
    "5.2.0.192.bl.test": {"do": "silent"},
    "6.2.0.192.bl.test": {"A": ["198.51.100.7"]},
    "7.2.0.192.bl.test": {"A": ["127.255.255.254"]},
    "8.2.0.192.bl.test": {"A": ["127.0.0.4"], "TXT": ["listed by " + "x" * 1000], "do": "cut"},
    "9.2.0.192.bl.test": {"do": "liar"},
    "10.2.0.192.bl.test": {"do": "garbage"},
    "11.2.0.192.other.test": {"A": ["127.0.0.2"]},
    "12.2.0.192.bl.test": {"CNAME": ["listed.test"]},
    "listed.test": {"A": ["127.0.0.3"]},
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test": {"A": ["127.0.0.2"]},
    # SPF
    "pass.test": {"TXT": [SPF + " ip4:192.0.2.1 -all"]},
    "explain.test": {"TXT": [SPF + " exp=why.test -all"]},
    "why.test": {"TXT": ["%{i} is not of %{d}"]},
    "soft.test": {"TXT": [SPF + " ~all"]},
    "broken.test": {"TXT": [SPF + " nonsense"]},
    "failing.test": {"do": "servfail"},
    "silent.test": {"do": "silent"},
    "deep.test": {"TXT": ["unrelated", SPF + " include:a.deep.test -all"]},
    "a.deep.test": {"TXT": [SPF + " mx:b.deep.test ptr:no.test ~all"]},
    "b.deep.test": {"MX": ["10 c.deep.test", "20 d.deep.test"]},
    "c.deep.test": {"A": ["192.0.2.99"]},
    "d.deep.test": {"A": ["192.0.2.1"]},
    "cut.test": {"TXT": [SPF + " ip4:192.0.2.1 " + " ".join(f"ip4:10.0.{i}.0/24" for i in range(60)) +
                         " -all"], "do": "cut"},
    "lied.test": {"TXT": [SPF + " ip4:192.0.2.1 -all"], "do": "liar"},
    # names of clients
    "mail.client.test": {"A": ["192.0.2.1"]},
    "six.client.test": {"AAAA": ["2001:db8::1"]},
    "empty.client.test": {},
    "failing.client.test": {"do": "servfail"},
    "1.2.0.192.in-addr.arpa": {"PTR": ["other.client.test", "mail.client.test"]},
    "3.2.0.192.in-addr.arpa": {"do": "servfail"},
    # domains of senders and recipients
    "mx.test": {"MX": ["10 mail.client.test"]},
    "a.test": {"A": ["192.0.2.7"]},
    "aaaa.test": {"AAAA": ["2001:db8::7"]},
    "null.test": {"MX": ["0 ."], "A": ["192.0.2.7"]},
    "text.test": {"TXT": ["nothing here"]},
    "inside.test": {"MX": ["10 good.inside.test", "20 bad.inside.test"]},
    "good.inside.test": {"A": ["192.0.2.8"]},
    "bad.inside.test": {"A": ["127.0.0.1"]},
    "six.inside.test": {"MX": ["10 six.bad.inside.test"]},
    "six.bad.inside.test": {"AAAA": ["::1"]},
    "self.inside.test": {"A": ["127.0.0.1"]},
    # domains in messages
    "bad.example.uri.test": {"A": ["127.0.0.2"], "TXT": ["phishing"]},
    "shop.co.example.uri.test": {"A": ["127.0.0.2"]},
    "slow.example.uri.test": {"A": ["127.0.0.2"], "do": "slow"},
    "dead.example.uri.test": {"do": "servfail"},
}


QUICK = {"timeout": "700ms", "attempts": 2, "deadline": "3s", "failureTtl": "200ms"}


def config(chain, port, dns=(), smtp=""):
    rows = {"servers": f"'127.0.0.1:{port}'", **QUICK, **dict(dns)}
    dns = ", ".join(f"{key}: {value}" for key, value in rows.items())
    return write_config(f"""\
engine: {{workers: 2}}
domains: [example.com]
spool: {{durability: none}}
dns: {{{dns}}}
smtpservers:
  - bind: "127.0.0.1:0"
    helloName: mx.example
    verifyIdentity: disabled
    proxyRequired: true
    proxyFrom: 127.0.0.1
    {smtp}
    handlerchain: [{chain}]
""")


class Session(Client):
    """A client with an address of its own; it has said EHLO."""

    def __init__(self, server, ip="192.0.2.1", hello="mail.client.test"):
        super().__init__((server.host, server.port), greeting=None)
        family = "TCP6" if ":" in ip else "TCP4"
        ours = "::1" if ":" in ip else "127.0.0.1"
        self.send(f"PROXY {family} {ip} {ours} 4711 25\r\n")
        self.expect("220")
        self.command(f"EHLO {hello}", "250")

    def mail(self, sender="a@mx.test"):
        self.send(f"MAIL FROM:<{sender}>\r\n")
        return self.reply().rstrip()

    def rcpt(self, recipient="bob@example.com"):
        self.send(f"RCPT TO:<{recipient}>\r\n")
        return self.reply().rstrip()


def mails(server, cases):
    """Each in a session of its own: what MAIL is answered."""
    for (ip, sender, hello), wanted in cases.items():
        with Session(server, ip, hello) as session:
            reply = session.mail(sender)
            assert reply.startswith(wanted), f"{ip} {sender} {hello}: {reply!r}, wanted {wanted!r}"
