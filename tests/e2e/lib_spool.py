"""Makes spools by hand, octet by octet as docs/DURABILITY.md tells: another reading of the format than
the program's own.
"""
import os
import struct

BLOCK, ALIGN = 4096, 32
CHUNK, MSG = 1, 2
UUID = bytes.fromhex("6b0f1c5293d44f0ea1c70123456789ab")
NODE = struct.unpack("<I", UUID[:4])[0]
RECEIVED_NS = 1_700_000_000_123_000_000


def _table():
    rows = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        rows.append(value)
    return rows


_ROWS = _table()


def crc32c(octets, before=0):
    crc = before ^ 0xFFFFFFFF
    for octet in octets:
        crc = crc >> 8 ^ _ROWS[(crc ^ octet) & 255]
    return crc ^ 0xFFFFFFFF


def _signed(octets, at, seed):
    """The same with its CRC, whose place holds zeros."""
    return octets[:at] + struct.pack("<I", crc32c(octets, seed)) + octets[at + 4:]


def _twice(octets):
    half = octets.ljust(BLOCK // 2, b"\0")
    return half + half


def _round(octets, unit):
    return octets.ljust(-(-len(octets) // unit) * unit, b"\0")


def epoch(run, number):
    return run * 1_000_000_000 + number


def lsn(run, number):
    return run << 40 | number


def message_id(number, core=0):
    return f"{NODE:08x}-{core:x}-{number:x}"


def tlv(kind, value):
    return struct.pack("<HHI", kind, 0, len(value)) + value


def envelope(sender, recipients):
    return (tlv(1, sender.encode()) + b"".join(tlv(2, r.encode()) for r in recipients) +
            tlv(10, b"smtp") + tlv(11, b"\0" * 10 + b"\xff\xff" + bytes([192, 0, 2, 1])) +
            tlv(12, b"client.example") + tlv(13, struct.pack("<Q", 77)) + tlv(14, b"\2") +
            tlv(17, struct.pack("<I", 0xBEEF)) + tlv(40, b"score\0" b"5"))


class Segment:
    """One segment file; records go into a batch until flush()."""

    def __init__(self, root, number, name, base, core=0, size=1 << 20, before=(0, 0)):
        self.path = os.path.join(root, str(core), f"seg.{number:06d}")
        self.core, self.epoch, self.size, self.next = core, name, size, base
        self.seed = crc32c(UUID + struct.pack("<IQ", core, name))
        self.header = _twice(_signed(struct.pack(
            "<8sII16sIIQQQQQq", b"MXSPOOL1", 0, 1, UUID, core, 0, name, size, base, *before, 0), 8, 0))
        self.body, self.records, self.rcpts, self.committed = b"", [], 0, 0
        self.sequence = self.messages = self.content = self.last = 0
        self.oldest = name

    def offset(self):
        """Where the next record begins."""
        return BLOCK + len(self.body) + 64 + sum(map(len, self.records))

    def record(self, kind, content, sealed=b"", rcpts=0, message=None, total=0, chunk=0, before=(0, 0),
               first=None, flags=0):
        number, self.next = self.next, self.next + 1
        length = 96 + len(content) + len(sealed)
        head = struct.pack("<IIBBHIQQIIQIIQQIIqII", 0x3152584D, 0, kind, 1, flags, length, number,
                           message or number, len(content), len(sealed), total, chunk, before[1],
                           before[0], first or self.epoch, self.rcpts if kind == MSG else 0, rcpts,
                           RECEIVED_NS if kind == MSG else 0, self.core, 0)
        assert len(head) == 96
        offset = self.offset()
        self.records.append(_signed(_round(head + content + sealed, ALIGN), 4, self.seed))
        self.last = number
        if kind == MSG:
            self.rcpts += rcpts
            self.messages += 1
            self.content += total
            self.oldest = min(self.oldest, first or self.epoch)
        return number, offset

    def message(self, content, sender="a@example.org", recipients=("bob@example.com",), **how):
        return self.record(MSG, content, envelope(sender, recipients), len(recipients),
                           **{"total": len(content), **how})[0]

    def flush(self):
        records = b"".join(self.records)
        used = 64 + len(records)
        first = self.next - len(self.records)
        head = struct.pack("<IIQQQIIIIqQ", 0x3142584D, 0, self.epoch, first, self.committed,
                           self.sequence, len(self.records), used, -(-used // BLOCK) * BLOCK, 0, 0)
        assert len(head) == 64
        self.body += _round(_signed(head, 4, self.seed) + records, BLOCK)
        self.sequence += 1
        self.records = []

    def footer(self):
        return _twice(_signed(struct.pack(
            "<8sII16sIIQQQQQqII", b"MXSEALED", 0, 1, UUID, self.core, self.messages, self.epoch,
            BLOCK + len(self.body), self.last, self.oldest, self.content, 0, self.rcpts, 0), 8, 0))

    def write(self, is_sealed=True, is_cut=True):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        octets = self.header + self.body
        if is_sealed and is_cut:
            octets += self.footer()
        else:
            octets = octets.ljust(self.size - BLOCK, b"\0")
            octets += self.footer() if is_sealed else bytes(BLOCK)
        with open(self.path, "wb") as file:
            file.write(octets)


def meta(root, run=1):
    text = UUID.hex()
    uuid = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    with open(os.path.join(root, "meta"), "w", encoding="ascii") as file:
        file.write(f"mxring-spool 1\nuuid {uuid}\nrun {run}\n")
