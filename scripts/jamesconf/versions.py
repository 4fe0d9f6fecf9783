"""Which James wrote a file: what the command line says, else what the file shows."""
from jamesconf.report import NOTE, WARNING

VERSIONS = ("3.6", "3.7", "3.8", "3.9", "current")

# Elements (and attributes) of a server and the first version that read them. auth's and the
# handler chain's are below. The rest is as old as 3.6.
SINCE = {
    "auth": "3.7",
    "auth.required": "current",
    "auth.saslMechanisms": "current",
    "auth.gssapi": "current",
    "gracefulShutdown": "3.7",
    "useEpoll": "3.7",
    "bossWorkerCount": "3.7",
    "highWriteBufferWaterMark": "3.7",
    "lowWriteBufferWaterMark": "3.7",
    "proxyRequired": "3.8",
    "proxyFirst": "3.8",
    "disabledFeatures": "3.9",
    "maxLineLength": "current",
    "tls.keystoreType": "3.7",
    "tls.privateKey": "3.7",
    "tls.certificates": "3.7",
    "tls.clientAuth": "3.7",
    "tls.supportedProtocols": "3.7",
}
WORDS_SINCE_39 = ("strict", "relaxed", "disabled")
NO_AUTH_LOADER = "org.apache.james.smtpserver.NoAuthCmdHandlerLoader"
MAILET_LOADER = "org.apache.james.lmtpserver.MailetContainerCmdHandlerLoader"


class Version:
    """The version to read the files as. is_guess: nothing showed it."""

    def __init__(self, name, is_guess=False, shown=None):
        self.name = name
        self.is_guess = is_guess
        self.shown = shown  # (version, node): the newest thing seen

    def is_before(self, name):
        return VERSIONS.index(self.name) < VERSIONS.index(name)

    def __str__(self):
        return "the current James" if self.name == "current" else f"James {self.name}"


def _evidence(server):
    """(version, node) for everything in a server that dates it."""
    for child in server.children:
        yield SINCE.get(child.name, "3.6"), child
        if child.name in ("auth", "tls"):
            for part in child.children:
                yield SINCE.get(f"{child.name}.{part.name}", "3.6"), part
        if child.name == "verifyIdentity" and child.text.lower() in WORDS_SINCE_39:
            yield "3.9", child
        if child.name == "handlerchain":
            loader = child.attributes.get("coreHandlersPackage", "").strip()
            if loader in (NO_AUTH_LOADER, MAILET_LOADER):
                yield "3.7", child


def newest(servers):
    """The newest version shown and its node, or None."""
    best = None
    for server in servers:
        for version, node in _evidence(server):
            if best is None or VERSIONS.index(version) > VERSIONS.index(best[0]):
                best = (version, node)
    return best if best and best[0] != "3.6" else None


def decide(wanted, servers, report):
    """The version all files are read as. Reports what was guessed, or what contradicts."""
    shown = newest(servers)
    if wanted:
        if shown and VERSIONS.index(shown[0]) > VERSIONS.index(wanted):
            file_version, node = shown
            report.add_at(WARNING, node.file, node.line, node.path(),
                          f"James {wanted} (--james-version) did not read this, {file_version} "
                          "did; it is converted all the same, defaults are those of "
                          f"{wanted}")
        return Version(wanted, shown=shown)
    if shown:
        since = "" if shown[0] == "current" else " or newer"
        report.add_at(NOTE, shown[1].file, shown[1].line, shown[1].path(),
                      f"shows James {shown[0]}{since}: read as current (--james-version)")
        return Version("current", shown=shown)
    if servers:
        root = servers[0]
        report.add_at(WARNING, root.file, root.line, root.path(),
                      "nothing in the file shows the version of James: read as current, whose "
                      "defaults are not those of 3.6 to 3.8; say --james-version")
    return Version("current", is_guess=True)
