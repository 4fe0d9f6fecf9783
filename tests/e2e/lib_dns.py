"""A name server on loopback for tests, UDP and TCP: it answers from a table, and as badly as told.

Zone: {name: {type: [values]}} with types A, AAAA, MX, TXT, PTR, CNAME, and for a whole name
{"do": what}: "servfail", "refused", "silent", "slow" (SLOW seconds), "cut" (UDP answers are truncated,
TCP has the records), "liar" (a wrong name, a wrong id and an answer from nowhere come first),
"garbage", "held" (nothing before release()). A name that is not there is NXDOMAIN, with an SOA unless the zone is without_soa.
"""
import ipaddress
import socket
import struct
import threading
import time

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
NAMES = {number: name for name, number in TYPES.items()}
TTL = 60
SLOW = 0.2


def encode_name(name):
    labels = [label for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def encode_value(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "MX":
        preference, host = value.split(" ", 1)
        return struct.pack(">H", int(preference)) + encode_name(host)
    if kind == "TXT":
        text = value.encode()
        return b"".join(bytes([len(text[i:i + 255])]) + text[i:i + 255]
                        for i in range(0, max(len(text), 1), 255))
    return encode_name(value)


def record(name, kind, value, ttl):
    data = encode_value(kind, value)
    return encode_name(name) + struct.pack(">HHIH", TYPES[kind], 1, ttl, len(data)) + data


def soa():
    data = encode_name("ns.test") + encode_name("root.test") + struct.pack(">5I", 1, 60, 60, 60, TTL)
    return encode_name("test") + struct.pack(">HHIH", 6, 1, TTL, len(data)) + data


def open_sockets(port):
    """UDP and TCP with the same port, which the kernel picks when it is 0."""
    for _ in range(50):
        tcp = socket.create_server(("127.0.0.1", port), backlog=64)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(("127.0.0.1", tcp.getsockname()[1]))
            return udp, tcp
        except OSError:
            udp.close()
            tcp.close()
    raise OSError("no port that is free for UDP and TCP")


class NameServer:
    """with NameServer(zone) as server: server.port, server.asked (list of (name, type))"""

    def __init__(self, zone, port=0):
        self.zone = {name.lower(): rows for name, rows in zone.items()}
        self.asked = []
        self.is_silent = False
        self.held = []
        self.udp, self.tcp = open_sockets(port)
        self.port = self.udp.getsockname()[1]
        self.threads = [threading.Thread(target=run, daemon=True)
                        for run in (self.serve_udp, self.serve_tcp)]
        self.is_ending = False

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.is_ending:
            return
        self.is_ending = True
        self.udp.sendto(b"", ("127.0.0.1", self.port))
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self.threads:
            thread.join()
        self.udp.close()
        self.tcp.close()

    def release(self):
        """Answer what was held back so far."""
        held, self.held = self.held, []
        for what in held:
            self.send(*what)

    def count(self, name, kind=None):
        return sum(1 for asked in self.asked if asked[0] == name and kind in (None, asked[1]))

    def serve_udp(self):
        while True:
            message, peer = self.udp.recvfrom(2000)
            if self.is_ending:
                return
            self.answer(message, lambda out, to=peer: self.udp.sendto(out, to), peer)

    def serve_tcp(self):
        while True:
            connection, _ = self.tcp.accept()
            if self.is_ending:
                connection.close()
                return
            threading.Thread(target=self.serve_connection, args=(connection,), daemon=True).start()

    def serve_connection(self, connection):
        with connection:
            connection.settimeout(5)
            try:
                while True:
                    head = connection.recv(2, socket.MSG_WAITALL)
                    if len(head) < 2:
                        return
                    message = connection.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL)
                    self.answer(message, lambda out: connection.sendall(
                        struct.pack(">H", len(out)) + out), None)
            except OSError:
                return

    def answer(self, message, send, peer):
        at, labels = 12, []
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
            at += 1 + message[at]
        kind = NAMES.get(struct.unpack(">H", message[at + 1:at + 3])[0], "?")
        name = ".".join(labels).lower()
        question = message[12:at + 5]
        self.asked.append((name, kind))
        what = self.zone.get(name, {}).get("do", "")
        if self.is_silent or what == "silent":
            return
        if what == "slow":
            timer = threading.Timer(SLOW, self.send, (message[:2], question, name, kind, send))
            timer.daemon = True
            timer.start()
        elif what == "held":
            self.held.append((message[:2], question, name, kind, send))
        elif what == "garbage":
            send(message[:2] + b"\x81\x80" + b"\xff" * 30)
        elif what == "cut" and peer:
            send(message[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + question)
        elif what in ("servfail", "refused"):
            rcode = 2 if what == "servfail" else 5
            send(message[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, 0, 0, 0) + question)
        else:
            if what == "liar":
                self.lie(message[:2], question, name, kind, send, peer)
            self.send(message[:2], question, name, kind, send)

    def lie(self, number, question, name, kind, send, peer):
        """Answers that are none: all of them say 127.0.0.66."""
        wrong = bytes([number[0] ^ 0x55, number[1]])
        lie = record(name, "A", "127.0.0.66", TTL)
        other = encode_name("other.test") + struct.pack(">HH", TYPES[kind], 1)
        send(wrong + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + question + lie)
        send(number + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + other + lie)
        if peer:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(number + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + question + lie,
                                peer)

    def send(self, number, question, name, kind, send):
        rows = self.zone.get(name)
        answers, ttl = [], TTL
        if rows is not None:
            ttl = rows.get("ttl", TTL)
            answers = [record(name, kind, value, ttl) for value in rows.get(kind, [])]
            if not answers and "CNAME" in rows:
                target = rows["CNAME"][0]
                answers = [record(name, "CNAME", target, ttl)]
                answers += [record(target, kind, value, TTL)
                            for value in self.zone.get(target, {}).get(kind, [])]
        rcode = 3 if rows is None else 0
        authority = [] if answers else [soa()]
        try:
            send(number + struct.pack(">HHHHH", 0x8580 | rcode, 1, len(answers), len(authority), 0) +
                 question + b"".join(answers) + b"".join(authority))
        except OSError:
            pass
