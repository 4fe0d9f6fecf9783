"""Hooks that ask the DNS, against a name server that people use (nsd): zones with block lists, SPF,
DKIM's keys, answers that are cut and asked for again by TCP, names that are aliases."""
import shutil
import socket
import subprocess
import tempfile

from lib_mxring import Client, equal, eventually, run, serve, tool, write_config

NSD = tool("nsd")
LONG = "v=spf1 " + " ".join(f"ip4:10.{i}.0.0/16" for i in range(60)) + " ip4:127.0.0.1 -all"

ZONE = """\
$ORIGIN test.
$TTL 60
@            SOA  ns root 1 60 60 60 60
@            NS   ns
ns           A    127.0.0.1
; block lists
1.0.0.127.bl A    127.0.0.2
1.0.0.127.bl TXT  "127.0.0.1 sends junk"
1.0.0.127.alias.bl CNAME 1.0.0.127.bl
; senders
pass         TXT  "v=spf1 ip4:127.0.0.1 -all"
fail         TXT  "v=spf1 ip4:192.0.2.1 -all"
pieces       TXT  "v=spf1 ip4:127" ".0.0.1 -all"
included2    TXT  "v=spf1 include:pass.test -all"
mail         MX   10 host.mail
host.mail    A    127.0.0.1
bymx         TXT  "v=spf1 mx:mail.test -all"
*.wild       TXT  "v=spf1 ip4:127.0.0.1 -all"
null         MX   0 .
aaaa         AAAA ::1
none         HINFO "a" "b"
"""


def strings(text):
    return " ".join('"' + text[i:i + 200] + '"' for i in range(0, len(text), 200))


class Nsd:
    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        with open(f"{self.folder}/zone", "w", encoding="ascii") as file:
            file.write(ZONE + f"long TXT {strings(LONG)}\n")
        with open(f"{self.folder}/conf", "w", encoding="ascii") as file:
            file.write(f"""\
server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  chroot: ""
  zonesdir: "{self.folder}"
  pidfile: ""
  database: ""
  xfrdfile: "{self.folder}/xfrd"
  xfrdir: "{self.folder}"
  zonelistfile: "{self.folder}/list"
  server-count: 1
  ipv4-edns-size: 512
remote-control:
  control-enable: no
zone:
  name: test
  zonefile: zone
""")
        self.process = subprocess.Popen([NSD, "-d", "-c", f"{self.folder}/conf"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(f"{self.folder}/log", "wb"))
        eventually(self.answers, "nsd listens")
        return self

    def answers(self):
        assert self.process.poll() is None, open(f"{self.folder}/log", encoding="utf-8").read()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.2)
            client.sendto(b"\0\1\0\0\0\1\0\0\0\0\0\0\4test\0\0\6\0\1", ("127.0.0.1", self.port))
            try:
                return client.recv(512)[3] & 15 == 0
            except OSError:
                return False

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


def config(chain, port):
    return write_config(f"""\
engine: {{workers: 1}}
domains: [example.com]
spool: {{durability: none}}
dns: {{servers: '127.0.0.1:{port}', timeout: 2s}}
smtpservers:
  - bind: "127.0.0.1:0"
    helloName: mx.example
    verifyIdentity: disabled
    handlerchain: [{chain}]
""")


def mail(server, sender):
    with Client((server.host, server.port)) as client:
        client.command("EHLO client.test", "250")
        client.send(f"MAIL FROM:<{sender}>\r\n")
        return client.reply().rstrip()


def test_block_lists():
    lists = {"bl.test": "554 5.7.1 127.0.0.1 sends junk", "alias.bl.test": "554", "none.test": "250"}
    with Nsd() as nsd:
        for zone, wanted in lists.items():
            chain = f"{{DNSRBLHandler: {{rblservers: {{blacklist: {zone}}}, getDetail: true}}}}"
            with serve(config(chain, nsd.port)) as server:
                got = mail(server, "a@x.test")
                assert got.startswith(wanted), (zone, got)
                server.stop()


def test_spf():
    with Nsd() as nsd, serve(config("SPFHandler", nsd.port)) as server:
        for domain, wanted in (("pass", "250"), ("fail", "554"), ("pieces", "250"),
                               ("included2", "250"), ("bymx", "250"), ("any.wild", "250"),
                               ("nothing", "250"), ("none", "250"), ("long", "250")):
            got = mail(server, f"a@{domain}.test")
            assert got.startswith(wanted), (domain, got)
        server.stop()


def test_sender_domains():
    with Nsd() as nsd, serve(config("ValidSenderDomainHandler", nsd.port)) as server:
        for domain, wanted in (("mail", "250"), ("host.mail", "250"), ("aaaa", "250"), ("null", "501"),
                               ("none", "501"), ("nothing", "501")):
            got = mail(server, f"a@{domain}.test")
            assert got.startswith(wanted), (domain, got)
        server.stop()


def test_it_goes_away():
    """Nobody can say, then; and when it is back, everybody can."""
    with Nsd() as nsd:
        path = config("{SPFHandler: {timeout: 30s}}", nsd.port)
        with serve(path) as server:
            equal(mail(server, "a@fail.test")[:3], "554")
            nsd.process.terminate()
            nsd.process.wait()
            equal(mail(server, "a@pass.test")[:3], "451", "gone")
            nsd.process = subprocess.Popen([NSD, "-d", "-c", f"{nsd.folder}/conf"],
                                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL)
            eventually(nsd.answers, "it is back")
            eventually(lambda: mail(server, "a@pass.test")[:3] == "250", "it is asked again")
            server.stop()


run(globals())
