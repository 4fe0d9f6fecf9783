"""A mail filter for tests: speaks the milter protocol, and does what it is told at each command."""
import os
import socket
import struct
import threading
import time

NAMES = {"O": "negotiate", "D": "macros", "C": "connect", "H": "helo", "M": "mail", "R": "rcpt",
         "T": "data", "L": "header", "N": "eoh", "B": "body", "E": "eom", "A": "abort", "Q": "quit"}
CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, SKIP, PROGRESS = (c.encode() for c in "cartdsp")


def packet(command, data=b""):
    return struct.pack(">I", len(data) + 1) + command + data


def reply(text):
    return packet(b"y", text.encode() + b"\0")


def add(name, value):
    return packet(b"h", f"{name}\0{value}\0".encode())


def insert(index, name, value):
    return packet(b"i", struct.pack(">I", index) + f"{name}\0{value}\0".encode())


def change(index, name, value):
    return packet(b"m", struct.pack(">I", index) + f"{name}\0{value}\0".encode())


class Milter:
    """does: {command name: what it does}: octets that are sent, a function(connection, data) that
    gives them, "close", "hang", or a list: the first for the first time, and so on (the last stays).
    Else: continue. log: of each connection, a list of (name, data)."""

    def __init__(self, does=None, protocol=0, actions=0x11, version=6, path=None):
        self.does, self.protocol, self.actions, self.version = does or {}, protocol, actions, version
        self.sessions, self.seen = [], {}
        self.ended = False
        if path is None:
            self.server = socket.create_server(("127.0.0.1", 0), backlog=64)
            self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        else:
            self.server = socket.socket(socket.AF_UNIX)
            self.server.bind(path)
            self.server.listen(64)
            self.address = f"unix:{path}"
        self.path = path
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        self.server.close()
        if self.path:
            os.unlink(self.path)

    def _accept(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            log = []
            self.sessions.append(log)
            threading.Thread(target=self._serve, args=(peer, log), daemon=True).start()

    def _serve(self, peer, log):
        try:
            with peer, peer.makefile("rb") as file:
                self._talk(peer, file, log)
        except OSError:
            pass
        log.append(("end", b""))

    def _talk(self, peer, file, log):
        while True:
            head = file.read(5)
            if len(head) < 5:
                return
            name = NAMES[chr(head[4])]
            data = file.read(struct.unpack(">I", head[:4])[0] - 1)
            log.append((name, data))
            if name == "quit":
                return
            does = self.does.get(name)
            if isinstance(does, list):
                does = does[min(self.seen.get(name, 0), len(does) - 1)]
            self.seen[name] = self.seen.get(name, 0) + 1
            if does == "close":
                return
            if does == "hang":
                while not self.ended:
                    time.sleep(0.02)
                return
            if callable(does):
                does = does(peer, data)
            if name == "negotiate" and does is None:
                does = packet(b"O", struct.pack(">III", self.version, self.actions, self.protocol))
            if does is None and self._answers(name):
                does = packet(CONTINUE)
            if does:
                peer.sendall(does)

    def _answers(self, name):
        quiet = {"connect": 1 << 12, "helo": 1 << 13, "mail": 1 << 14, "rcpt": 1 << 15,
                 "data": 1 << 16, "eoh": 1 << 18, "body": 1 << 19, "header": 1 << 7}
        return name not in ("macros", "abort") and not self.protocol & quiet.get(name, 0)

    def heard(self, number=-1):
        """The names of what one connection has heard, without macros."""
        return [name for name, _ in self.sessions[number] if name != "macros"]

    def data(self, name, number=-1):
        return [data for heard, data in self.sessions[number] if heard == name]
