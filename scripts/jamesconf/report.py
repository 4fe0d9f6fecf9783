"""One line for each judgement: FILE:LINE: element: level: what and why.

Everything that came from a file is escaped: a report is read on a terminal and becomes comments.
"""

NOTE, WARNING, ERROR = "note", "warning", "error"
VALUE_MAX = 60     # characters of a value that a report shows
ELEMENT_MAX = 120  # characters of an element's path


def clean(text):
    """Printable, on one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def quote(text):
    """A value for a message, cut when it is long."""
    text = clean(text)
    return f"'{text}'" if len(text) <= VALUE_MAX else f"'{text[:VALUE_MAX]}…'"


class Entry:
    __slots__ = ("file", "line", "element", "level", "text", "is_said")

    def __init__(self, file, line, element, level, text):
        self.is_said = False  # it stands in a comment already
        self.file = clean(file)
        self.line = line
        self.element = clean(element)[:ELEMENT_MAX]
        self.level = level
        self.text = clean(text)

    def __str__(self):
        return f"{self.file}:{self.line}: {self.element}: {self.level}: {self.text}"


class Report:
    def __init__(self):
        self.entries = []

    def add(self, level, node, text, element=None):
        """About a node. Whoever reports it has dealt with it."""
        node.use()
        return self.add_at(level, node.file, node.line, element or node.path(), text)

    def add_at(self, level, file, line, element, text):
        entry = Entry(file, line, element, level, text)
        self.entries.append(entry)
        return entry

    def count(self, level):
        return sum(entry.level == level for entry in self.entries)

    def lines(self):
        """Sorted by file in the order of appearance, then by line."""
        files = {}
        for entry in self.entries:
            files.setdefault(entry.file, len(files))
        ordered = sorted(self.entries, key=lambda entry: (files[entry.file], entry.line))
        return [str(entry) for entry in ordered]
