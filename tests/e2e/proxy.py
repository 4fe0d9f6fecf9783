"""PROXY headers as proxies write them: whole, in pieces, with TLVs, LOCAL, with bad lengths."""
import ipaddress
import socket
import struct
import time

from lib_mxring import Client, config, equal, eventually, run, serve
from lib_spool import crc32c

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
SMTP = "authorizedAddresses: 127.0.0.0/8, proxyRequired: true, proxyFrom: 127.0.0.1, "


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def version_2(client="9.9.9.9", command=PROXY, transport=1, tlvs=b"", length=None, checksum=False):
    address = ipaddress.ip_address(client)
    target = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    body = address.packed + target.packed + struct.pack("!HH", 4711, 25) + tlvs
    if checksum:
        body += tlv(3, b"\0\0\0\0")
    family = (0x10 if address.version == 4 else 0x20) | transport
    header = SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length)
    header += body
    if checksum:
        header = header[:-4] + struct.pack("!I", crc32c(header))
    return header


def hears(client, name):
    client.command("HELO c.test", "250 mx.example Hello c.test [" + name + "]")


SSL = tlv(0x20, struct.pack("!BI", 7, 0) + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"client.example"))
GOOD = {
    "IPv4": (version_2(), "9.9.9.9"),
    "IPv6": (version_2("2001:db8::5"), "2001:db8::5"),
    "IPv4 in IPv6": (version_2("::ffff:9.9.9.9"), "9.9.9.9"),
    "TLVs": (version_2(tlvs=tlv(1, b"smtp") + tlv(2, b"mx.example") + SSL + tlv(0xEA, bytes(range(256)))),
             "9.9.9.9"),
    "checksum": (version_2(tlvs=tlv(5, b"unique"), checksum=True), "9.9.9.9"),
    "longest": (version_2(tlvs=tlv(4, bytes(4096 - 31))), "9.9.9.9"),
    "version 1": (b"PROXY TCP4 9.9.9.9 127.0.0.1 4711 25\r\n", "9.9.9.9"),
}
NOBODY = {
    "LOCAL": SIGNATURE + b"\x20\0\0\0",
    "LOCAL with addresses": version_2(command=LOCAL),
    "UDP": version_2(transport=2),
    "UNIX": SIGNATURE + b"\x21\x31" + struct.pack("!H", 216) + bytes(216),
    "UNKNOWN": b"PROXY UNKNOWN\r\n",
}
BAD = {
    "length 0": version_2(length=0),
    "one octet short": version_2(length=11),
    "one octet more": version_2(length=13) + b"\0",
    "TLV too long": version_2(tlvs=b"\x04\0\xff"),
    "over the limit": version_2(tlvs=tlv(4, bytes(4096 - 30))),
    "65535": version_2(length=65535),
    "wrong checksum": version_2(checksum=True)[:-1] + b"\xff",
    "version 3": version_2(command=0x31),
    "none": b"EHLO c.test\r\n",
}


def test_good_headers():
    with serve(config(smtp=SMTP)) as server:
        for name, (header, wanted) in GOOD.items():
            with Client(server.addresses[0]) as client:
                client.send(header)
                hears(client, wanted)
                client.command("MAIL FROM:<a@example.org>", "250")
                # the proxy may relay, its clients may not
                client.command("RCPT TO:<a@elsewhere.example>", "550 5.7.1")
                client.command("RCPT TO:<bob@example.com>", "250")
                client.command("QUIT", "221")
            assert name
        server.stop()


def test_before_the_greeting_and_with_the_first_command():
    with serve(config(smtp=SMTP)) as server:
        for header, wanted in GOOD.values():
            with Client(server.addresses[0], greeting=None) as client:
                client.send(header + b"HELO c.test\r\nNOOP\r\n")
                client.expect("220")
                client.expect("250 mx.example Hello c.test [" + wanted + "]")
                client.expect("250")
        server.stop()


def test_cut_at_every_octet():
    header = version_2("2001:db8::5", tlvs=tlv(1, b"\r\n"), checksum=True)
    with serve(config(smtp=SMTP)) as server:
        clients = [Client(server.addresses[0]) for _ in range(len(header) - 1)]
        for cut, client in enumerate(clients, 1):
            client.send(header[:cut])
        time.sleep(0.05)  # so that most pieces are read alone
        for cut, client in enumerate(clients, 1):
            client.send(header[cut:])
            hears(client, "2001:db8::5")
            client.close()
        server.stop()


def test_nobody_is_named():
    with serve(config(smtp=SMTP)) as server:
        for header in NOBODY.values():
            with Client(server.addresses[0]) as client:
                client.send(header + b"NOOP\r\n")
                client.expect("451 Unable to process request\r\n")
                client.expect_end()
        eventually(lambda: server.logged("row=proxyRequired"), "the log says so")
        server.stop()


def test_bad_headers_are_not_answered():
    with serve(config(smtp=SMTP)) as server:
        for header in BAD.values():
            with Client(server.addresses[0]) as client:
                client.send(header)
                client.expect_end()
        server.stop()


def test_the_log_names_the_client():
    with serve(config(smtp=SMTP, more="log: {level: debug}")) as server:
        with Client(server.addresses[0]) as client:
            client.send(version_2())
            hears(client, "9.9.9.9")
        eventually(lambda: server.logged("event=disconnect"), "disconnect")
        lines = [line for line in server.lines if "event=connect " in line or "event=client " in line]
        assert "peer=127.0.0.1" in lines[0] and "peer=9.9.9.9" in lines[1], lines
        with Client(server.addresses[0], "127.0.0.2", greeting=None) as client:
            client.expect("421 4.7.0 mx.example Only known proxies may connect\r\n")
            client.expect_end()
        eventually(lambda: server.logged("row=proxyFrom"), "the refusal")
        server.stop()


def test_places_come_back():
    """Counted by the header's address: whatever way a connection ends, its place is free again."""
    with serve(config(smtp=SMTP + "connectionLimitPerIP: 2, proxyCountsClients: true")) as server:
        def two_fit():
            clients = [Client(server.addresses[0]) for _ in range(3)]
            replies = []
            for client in clients:
                client.send(version_2() + b"NOOP\r\n")
                replies.append(client.reply()[:3])
            for client in clients:
                client.close()
            assert replies.count("250") <= 2, replies
            return replies == ["250", "250", "421"]

        assert two_fit()
        for header in (*NOBODY.values(), *BAD.values(), b"PROXY "):
            with Client(server.addresses[0]) as client:
                client.send(header)
        eventually(two_fit, "two places")
        server.stop()


run(globals())
