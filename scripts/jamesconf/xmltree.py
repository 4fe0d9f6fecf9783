"""XML as a tree of nodes that know their line and whether somebody has dealt with them.

Bounded in size, depth and count. A document type with declarations of its own is refused, so that
there are neither entities to expand nor files to fetch.
"""
import os
from xml.parsers import expat

FILE_MAX = 16 << 20      # octets
DEPTH_MAX = 64           # elements inside each other
NODES_MAX = 600_000      # elements and attributes
SERVERS = ("smtpserver", "lmtpserver")


class XmlError(Exception):
    """The file cannot be read. line is 0 when it could not even be opened."""

    def __init__(self, line, text):
        super().__init__(text)
        self.line = line
        self.text = text


class Node:
    """An element."""

    __slots__ = ("name", "file", "line", "parent", "children", "attributes", "own_text",
                 "is_used", "is_text_used", "used_attributes")

    def __init__(self, name, file, line, parent, attributes):
        self.name = name
        self.file = file
        self.line = line
        self.parent = parent
        self.children = []
        self.attributes = attributes
        self.own_text = ""
        self.is_used = False
        self.is_text_used = False
        self.used_attributes = set()

    @property
    def text(self):
        """Its own character data without blanks around it; it counts as dealt with."""
        self.is_text_used = True
        return self.own_text

    def use_all(self):
        """What is said about this element covers everything in it."""
        for inner in self.walk():
            inner.is_used = inner.is_text_used = True
            inner.used_attributes.update(inner.attributes)

    def use(self):
        """Somebody converts or reports this element."""
        self.is_used = True
        return self

    def attribute(self, name, default=None):
        """Its value without blanks around it; it counts as dealt with."""
        self.used_attributes.add(name)
        value = self.attributes.get(name)
        return default if value is None else value.strip()

    def named(self, name):
        return [child for child in self.children if child.name == name]

    def walk(self):
        """This element and all below it, in the order of the file."""
        yield self
        for child in self.children:
            yield from child.walk()

    def path(self):
        """tls.keystore: the names from below the server or the root down to this one."""
        names = [self.name]
        node = self.parent
        while node is not None and node.parent is not None and node.name not in SERVERS:
            names.append(node.name)
            node = node.parent
        return ".".join(reversed(names))


class Builder:
    """Handlers of expat."""

    def __init__(self, file):
        self.file = file
        self.root = None
        self.current = None
        self.depth = 0
        self.count = 0
        self.texts = []
        self.remarks = []  # (line, what, why): declarations that have no effect
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.characters
        parser.StartDoctypeDeclHandler = self.doctype
        parser.EntityDeclHandler = self.entity
        parser.ExternalEntityRefHandler = self.external
        parser.SkippedEntityHandler = self.skipped
        parser.ProcessingInstructionHandler = self.instruction
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def fail(self, text):
        raise XmlError(self.parser.CurrentLineNumber, text)

    def start(self, name, attributes):
        self.depth += 1
        self.count += 1 + len(attributes)
        if self.depth > DEPTH_MAX:
            self.fail(f"elements are nested more than {DEPTH_MAX} deep")
        if self.count > NODES_MAX:
            self.fail(f"more than {NODES_MAX} elements and attributes")
        node = Node(name, self.file, self.parser.CurrentLineNumber, self.current, attributes)
        if self.current is not None:
            self.current.children.append(node)
        else:
            self.root = node
        self.current = node
        self.texts.append([])

    def end(self, _):
        self.current.own_text = "".join(self.texts.pop()).strip()
        self.current = self.current.parent
        self.depth -= 1

    def characters(self, text):
        if self.texts:
            self.texts[-1].append(text)

    def doctype(self, _, system, public, has_internal_subset):
        if has_internal_subset:
            self.fail("a DTD inside the file is refused: entities and default values are not read")
        if system or public:
            self.remarks.append((self.parser.CurrentLineNumber, "DOCTYPE",
                                 "the external DTD is not read"))

    def entity(self, *_):
        self.fail("entity declarations are refused")

    def external(self, *_):
        self.fail("external entities are refused")

    def skipped(self, name, _):
        self.fail(f"the entity {name} is not known")

    def instruction(self, target, _):
        self.remarks.append((self.parser.CurrentLineNumber, "processing instruction",
                             f"{target} has no effect"))


def _content(path):
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_MAX + 1)
    except OSError as error:
        raise XmlError(0, error.strerror or str(error)) from None
    if len(data) > FILE_MAX:
        raise XmlError(0, f"more than {FILE_MAX >> 20} MiB")
    if not data.strip():
        raise XmlError(1, "the file is empty")
    return data


def parse(path):
    """The root node of a file and what was remarked. Raises XmlError."""
    data = _content(path)
    builder = Builder(os.fspath(path))
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise XmlError(error.lineno, f"bad XML: {expat.ErrorString(error.code)} "
                                     f"(column {error.offset + 1})") from None
    except (ValueError, LookupError) as error:  # an encoding that is not known
        raise XmlError(1, f"bad XML: {error}") from None
    return builder.root, builder.remarks
