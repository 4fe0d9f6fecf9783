"""YAML text: maps in a fixed order of keys, with comments above them."""
import re

WIDTH = 100
PLAIN = re.compile(r"[A-Za-z0-9/_][A-Za-z0-9/_.@+-]*\Z")
# what YAML readers take for something else than a string
NOT_PLAIN = re.compile(r"(?i)(true|false|yes|no|on|off|y|n|null|~|[-+.0-9].*)\Z")
# what mxring takes as a string of a known kind and every reader shows as it stands
PLAIN_NUMBER = re.compile(r"[0-9]+(B|K|M|G|s|ms|m|h|d)?\Z")


def scalar(value):
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if PLAIN_NUMBER.match(value) or (PLAIN.match(value) and not NOT_PLAIN.match(value)):
        return value
    return quoted(value)


def quoted(value):
    out = []
    for c in value:
        if c in '"\\':
            out.append("\\" + c)
        elif c.isprintable():
            out.append(c)
        elif ord(c) <= 0xff:
            out.append(f"\\x{ord(c):02x}")
        elif ord(c) <= 0xffff:
            out.append(f"\\u{ord(c):04x}")
        else:
            out.append(f"\\U{ord(c):08x}")
    return '"' + "".join(out) + '"'


def comment(text, indent):
    """Lines of a comment; text is printable."""
    lines, line = [], ""
    room = max(WIDTH - indent - 2, 40)
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line = "  " + word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return [f"{' ' * indent}# {line}".rstrip() for line in lines]


class Map:
    """Keys come out in the order of `order`, the others behind them in order of arrival."""

    def __init__(self, order=()):
        self.order = {key: place for place, key in enumerate(order)}
        self.values = {}
        self.comments = {}   # of keys; those without a value stand at the head
        self.head = []
        self.tail = []

    def __setitem__(self, key, value):
        self.values[key] = value

    def __getitem__(self, key):
        return self.values[key]

    def __contains__(self, key):
        return key in self.values

    def get(self, key, default=None):
        return self.values.get(key, default)

    def say(self, key, text):
        """A comment above a key; above the whole map when key is None or has no value."""
        self.comments.setdefault(key, []).append(text)

    def lines(self, indent=0):
        out = []
        head = self.head + [text for key, texts in self.comments.items()
                            if key not in self.values for text in texts]
        for text in head:
            out += comment(text, indent)
        places = len(self.order)
        for key in sorted(self.values, key=lambda key: self.order.get(key, places)):
            for text in self.comments.get(key, ()):
                out += comment(text, indent)
            out += _pair(key, self.values[key], indent)
        for text in self.tail:
            out += comment(text, indent)
        return out


def _pair(key, value, indent):
    start = " " * indent + key + ":"
    if isinstance(value, Map):
        if not value.values:
            return [*value.lines(indent), start + " {}"]
        return [start, *value.lines(indent + 2)]
    if isinstance(value, list):
        return _list(start, value, indent)
    return [f"{start} {scalar(value)}"]


def _list(start, items, indent):
    if not any(isinstance(item, Map) for item in items):
        line = f"{start} [{', '.join(scalar(item) for item in items)}]"
        if len(line) <= WIDTH:
            return [line]
    out = [start]
    for item in items:
        out += _item(item, indent + 2)
    return out


def _item(item, indent):
    dash = " " * indent + "- "
    if not isinstance(item, Map):
        return [dash + scalar(item)]
    lines = item.lines(indent + 2)
    # comments stay above the dash; the first key goes behind it
    first = next(i for i, line in enumerate(lines) if not line.lstrip().startswith("#"))
    above = [line[2:] for line in lines[:first]]
    return [*above, dash + lines[first].lstrip(), *lines[first + 1:]]
