"""Files in, one YAML out: finds the servers, decides the version, and sees that nothing is lost."""
from jamesconf import names, neighbours, server, versions, xmltree
from jamesconf.report import ERROR, NOTE, WARNING, Report, quote
from jamesconf.yamlout import Map

TOP = ("engine", "domains", "defaultDomain", "users", "aliases", "aliasLimit", "spool",
       "smtpservers", "lmtpservers")
SERVERS = {"smtpserver": "smtpservers", "lmtpserver": "lmtpservers"}
OTHERS = ("imapservers", "imapserver", "pop3servers", "pop3server", "managesieveservers",
          "managesieveserver", "mailetcontainer", "config")
SPOOL = "/var/spool/mxring"


class Conversion:
    """What all parts share: the arguments, the report, the version, the files to write."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.report = Report()
        self.version = versions.Version("current")
        self.top = Map(TOP)
        self.files = []            # (path, octets, mode) beside the YAML
        self.has_open_relay = False
        self.has_secrets = False   # passwords stand in the YAML
        self.needs_users = []      # (server, what): mxring does not start it without users
        self.wants_users = []      # the same, but it starts
        self.needs_domains = None  # the first server whose rules ask what is local
        self.roots = []
        self.binds = {}            # address -> node, of servers that are enabled

    def note(self, node, text, element=None):
        return self.report.add(NOTE, node, text, element)

    def warn(self, node, text, element=None):
        return self.report.add(WARNING, node, text, element)

    def fail(self, node, text, element=None):
        return self.report.add(ERROR, node, text, element)


def read(conversion, path):
    """Parse one file and sort it by its root element."""
    try:
        root, remarks = xmltree.parse(path)
    except xmltree.XmlError as error:
        conversion.report.add_at(ERROR, path, error.line, "file", error.text)
        return
    for line, what, why in remarks:
        conversion.report.add_at(NOTE, path, line, what, why)
    known = [*SERVERS, *SERVERS.values(), *neighbours.ROOTS]
    if root.name in OTHERS:
        conversion.fail(root, "this file is not for mxring: it receives by SMTP and LMTP only")
    elif root.name not in known:
        meant = names.nearest(root.name, known)
        hint = f"; did you mean {meant}?" if meant else ""
        conversion.fail(root, f"the root element must be one of {', '.join(known)}{hint}")
    else:
        conversion.roots.append(root.use())


def _servers(conversion):
    """(kind, node) of every server of every file."""
    for root in conversion.roots:
        if root.name in SERVERS:
            yield SERVERS[root.name], root
            continue
        if root.name not in SERVERS.values():
            continue
        kind = root.name
        found = [child for child in root.children if SERVERS.get(child.name) == kind]
        for child in root.children:
            if child not in found:
                _stray(conversion, child, kind)
        if not found:
            conversion.note(root, "no servers: nothing listens")
        for child in found:
            yield kind, child.use()


def _stray(conversion, node, kind):
    wanted = kind[:-1]
    hint = f"; did you mean {wanted}?" if names.nearest(node.name, [wanted]) else ""
    conversion.fail(node, f"James reads only {wanted} here{hint}")
    node.use_all()


def _leftovers(conversion):
    """Nothing is dropped silently: what nobody has dealt with is reported."""
    for root in conversion.roots:
        for node in root.walk():
            if not node.is_used:
                conversion.warn(node, "James reads nothing here; ignored")
            for name in node.attributes:
                if name not in node.used_attributes:
                    conversion.warn(node, "James does not read this attribute; ignored",
                                    f"{node.path()}@{name}")
            if node.own_text and not node.is_text_used:
                conversion.warn(node, "its text has no effect")


def _head(conversion):
    top = conversion.top
    files = ", ".join(root.file.rpartition("/")[2] for root in conversion.roots)
    top.head = [
        f"Converted by james2yaml.py from {quote(files)}, read as {conversion.version}.",
        "Every judgement is a comment with the line of the XML. Before the first start:",
        "mxring check -c THIS-FILE", ""]
    if conversion.has_secrets:
        top.head[3:3] = ["This file holds passwords: keep its mode at 0600."]


def _fill_top(conversion):
    top = conversion.top
    if conversion.has_open_relay:
        top["engine"] = Map()
        top["engine"]["allowOpenRelay"] = True
        top.say("engine", "--keep-open-relay: EVERYBODY may relay through a server below.")
    if "smtpservers" in top or "lmtpservers" in top:
        top["spool"] = Map()
        top["spool"]["directory"] = SPOOL
        top.say("spool", "mxring's own queue; mail in James's queue stays with James.")


def convert(arguments):
    """The conversion, with everything reported; nothing is written."""
    conversion = Conversion(arguments)
    for path in arguments.files:
        read(conversion, path)
    found = list(_servers(conversion))
    conversion.version = versions.decide(arguments.james_version, [node for _, node in found],
                                         conversion.report)
    for kind, node in found:
        block = server.convert(conversion, kind, node)
        conversion.top.values.setdefault(kind, []).append(block)
    neighbours.convert(conversion)
    _leftovers(conversion)
    _fill_top(conversion)
    _head(conversion)
    return conversion
