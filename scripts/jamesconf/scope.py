"""One map of the YAML while it is filled: every judgement goes to the report and into a comment."""
from jamesconf import names, values
from jamesconf.report import ERROR, NOTE, WARNING, quote

# Never shown, whatever is wrong with them.
SECRETS = {"secret", "truststoreSecret", "password", "passwords", "credentials", "auth"}


class Scope:
    """A server or the neighbours. tolerant: mistakes are warnings (James checks nothing there)."""

    def __init__(self, conversion, out, is_tolerant=False):
        self.conversion = conversion
        self.arguments = conversion.arguments
        self.version = conversion.version
        self.out = out
        self.is_tolerant = is_tolerant

    def _say(self, level, node, text, key, element):
        entry = self.conversion.report.add(level, node, text, element)
        entry.is_said = True
        several = len(self.conversion.roots) > 1
        where = f"{entry.file.rpartition('/')[2]}:{entry.line}" if several else f"line {entry.line}"
        self.out.say(key, f"{where}: {entry.element}: {entry.text}")

    def note(self, node, text, key=None, element=None):
        self._say(NOTE, node, text, key, element)

    def warn(self, node, text, key=None, element=None):
        self._say(WARNING, node, text, key, element)

    def fail(self, node, text, key=None, element=None):
        """What James would not start with, or what mxring cannot do."""
        if self.is_tolerant:
            self._say(WARNING, node, text + "; left out, the server is disabled", key, element)
        else:
            self._say(ERROR, node, text, key, element)

    def ignore(self, node, text, level=NOTE):
        """An element with all that is in it, one line each."""
        for inner in node.walk():
            inner.is_text_used = True
            self._say(level, inner, text, None, None)
            for name in inner.attributes.keys() - inner.used_attributes:
                inner.used_attributes.add(name)
                self._say(level, inner, text, None, f"{inner.path()}@{name}")

    def expand(self, node, text, key=None, element=None):
        """Text with references as mxring knows them; None: refused and reported."""
        try:
            result, remarks = values.interpolate(text)
        except ValueError as error:
            text = "holds a ${ that cannot be written for mxring" if node.name in SECRETS else error
            self.fail(node, str(text), key, element)
            return None
        for remark in remarks:
            self.warn(node, remark, key, element)
        return result

    def parse(self, node, parse, key=None, attribute=None):
        """The value of an element or of one of its attributes; None: refused and reported."""
        element = f"{node.path()}@{attribute}" if attribute else None
        raw = node.attribute(attribute, "") if attribute else node.use().text
        if not raw:
            self.fail(node, "has no value", key, element)
            return None
        text = self.expand(node, raw, key, element)
        if text is None or values.has_variable(text):
            return text
        try:
            return parse(text)
        except ValueError as error:
            shown = "what is there" if node.name in SECRETS else quote(text)
            self.fail(node, str(error).replace("{value}", shown), key, element)
            return None

    def put(self, node, key, parse, attribute=None):
        """Convert a value and write it."""
        value = self.parse(node, parse, key, attribute)
        if value is not None:
            self.out[key] = value
        return value

    def known_children(self, node, known, repeated=(), reasons=None):
        """{name: [nodes]} of the children James reads; the others are reported.

        reasons: names that James knows elsewhere, and why they have no effect here."""
        found, strays = {}, []
        for child in node.children:
            if child.name in known:
                self._keep(found, child.name, child, repeated)
            else:
                strays.append(child)
        for child in strays:
            reason = (reasons or {}).get(child.name)
            meant = None if reason else names.nearest(child.name, known)
            is_free = meant is not None and (meant not in found or meant in repeated)
            if self.arguments.lenient and is_free:
                self.warn(child, f"James does not read this; applied as {meant} (--lenient)", meant)
                self._keep(found, meant, child, repeated)
                continue
            if not reason:
                reason = "James does not read this"
                reason += f"; did you mean {meant}? (--lenient applies it)" if meant else ""
            self.ignore(child, f"{reason}; ignored", WARNING)
        return found

    def _keep(self, found, name, child, repeated):
        nodes = found.setdefault(name, [])
        if nodes and name not in repeated:
            self.ignore(child, f"James takes the first {name}, in line {nodes[0].line}; ignored",
                        WARNING)
        else:
            nodes.append(child)
