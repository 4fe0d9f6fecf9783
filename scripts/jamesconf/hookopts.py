"""Options of handlers: what James reads in them, and what the YAML says."""
import ipaddress

from jamesconf import networks, values
from jamesconf.report import quote
from jamesconf.yamlout import Map

TEXT_MAX = 998      # a header value
HEADER_MAX = 80 << 10
PRIORITY_MAX = 9


class Option:
    """convert(scope, nodes, out, key): nodes are all elements of that name, in order.

    is_needed: James does not start without it. is_repeated: it reads more than the first."""

    def __init__(self, convert, is_needed=False, is_repeated=False):
        self.convert = convert
        self.is_needed = is_needed
        self.is_repeated = is_repeated


def _scalar(parse, **how):
    def convert(scope, nodes, out, key):
        value = scope.parse(nodes[0], parse, "handlerchain")
        if value is not None:
            out[key] = value
    return Option(convert, **how)


def words(*known):
    """One of these words exactly: other letters are another word for James."""
    def parse(text):
        if text not in known:
            raise ValueError(f"must be one of {', '.join(known)}, not {{value}}")
        return text
    return _scalar(parse)


def _text(text):
    return values.printable(text, TEXT_MAX)


def _duration(text):
    return values.duration_text(values.milliseconds(text))


def _list(text):
    return networks.split(text, ",")


BOOL = _scalar(values.boolean)
INT = _scalar(values.integer)
TEXT = _scalar(_text)
NEEDED_TEXT = _scalar(_text, is_needed=True)
DURATION = _scalar(_duration)
LIFESPAN = _scalar(_duration, is_needed=True)
LIST = _scalar(_list)


def _header_limit(text_of, default, what):
    def convert(scope, nodes, out, key):
        number = scope.parse(nodes[0], lambda text: text_of(scope, nodes[0], text), "handlerchain")
        if number is None:
            return
        if isinstance(number, int) and number <= 0:
            scope.note(nodes[0], f"James takes {default} {what} for it", "handlerchain")
            number = default
        if what == "octets" and isinstance(number, int) and number > HEADER_MAX:
            scope.warn(nodes[0], f"mxring takes headers of {HEADER_MAX >> 10} KiB at most: that is "
                                 "the limit", "handlerchain")
            number = HEADER_MAX
        out[key] = values.size_text(number) if what == "octets" and isinstance(number, int) \
            else number
    return Option(convert, is_needed=True)


def _header_octets(scope, node, text):
    size = values.octets(text, 1)
    if size is not None and text.isdigit():
        scope.warn(node, f"{quote(text)} are octets in James's code; its documentation says KB",
                   "handlerchain")
    return size or 0


HEADER_LINES = _header_limit(lambda _scope, _node, text: values.integer(text), 500, "header fields")
HEADER_SIZE = _header_limit(_header_octets, 65536, "octets")


def dkim(scope, node, out):
    """Code and documentation disagree about a default: the code's is written out."""
    if "signatureRequired" not in out:
        out["signatureRequired"] = True
        scope.note(node, "signatureRequired is not set: true in James's code, whatever its "
                         "documentation says", "handlerchain")
    scope.note(node, "what stands behind the part of a body that is signed (l=) is refused; "
                     "allowPartialBody: true takes it, as James does", "handlerchain")


def spamd(scope, node, out):
    """Later versions of James have host and port in another file; and names can be looked up there."""
    host = out.get("spamdHost")
    if host is None:
        scope.note(node, "spamd is looked for at localhost, port 783; name it by spamdHost and "
                         "spamdPort when James's spamassassin.properties says another place",
                   "handlerchain")
        return
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host != "localhost":
            scope.warn(node, f"spamdHost is {quote(host)}: mxring takes numeric addresses and "
                             "localhost only; write the address into the YAML", "handlerchain")


def max_rcpt(scope, node, out):
    """James's default is 0, and 0 refuses every recipient."""
    number = out.get("maxRcpt", 0)
    if isinstance(number, int) and number < 1:
        scope.fail(node, f"maxRcpt is {number}: James then refuses every recipient; give it a "
                         "value or take the handler out", "handlerchain")
    elif isinstance(number, int) and number > 1000:
        scope.out["maxRecipients"] = number
        scope.note(node, f"mxring's own limit, 1000, is raised to maxRcpt, {number}",
                   "maxRecipients")


def _networks(scope, nodes, out, key):
    node = nodes[0]
    text = scope.parse(node, str, "handlerchain")
    if text is None:
        return
    if values.has_variable(text):
        out[key] = text
        return
    kept = []
    for item in networks.split(text, ","):
        try:
            found = networks.parse(item)
        except ValueError as error:
            scope.fail(node, f"{quote(item)} is not a network: {error}", "handlerchain")
            continue
        for remark in found.remarks:
            scope.warn(node, remark, "handlerchain")
        if found.network is not None:
            kept.append(str(found.network))
    out[key] = kept


NETWORKS = Option(_networks)


def _texts(scope, nodes, out, key):
    found = [scope.parse(node, _text, "handlerchain") for node in nodes]
    out[key] = [text for text in found if text is not None]


TEXTS = Option(_texts, is_repeated=True)


def _texts_of(scope, nodes, name):
    return [text for text in (scope.parse(node, _text, "handlerchain") for node in nodes) if text]


def _rbl_servers(scope, nodes, out, key):
    names = ("whitelist", "blacklist")
    parts = scope.known_children(nodes[0].use(), names, names)
    inner = Map(names)
    for name in names:
        if name in parts:
            inner[name] = _texts_of(scope, parts[name], name)
    if not inner.values:
        scope.fail(nodes[0], "James wants at least one whitelist or blacklist", "handlerchain")
    out[key] = inner


RBL_SERVERS = Option(_rbl_servers, is_needed=True)


def _uri_rbl_servers(scope, nodes, out, key):
    parts = scope.known_children(nodes[0].use(), ("server",), ("server",))
    out[key] = _texts_of(scope, parts.get("server", []), "server")
    if not out[key]:
        scope.fail(nodes[0], "James wants at least one server", "handlerchain")


URIRBL_SERVERS = Option(_uri_rbl_servers, is_needed=True)


def _allowed_senders(scope, nodes, out, key):
    parts = scope.known_children(nodes[0].use(), ("allowedSender",), ("allowedSender",))
    rows = []
    for node in parts.get("allowedSender", []):
        row = Map(("sender", "fromIps"))
        sender = scope.parse(node, _text, "handlerchain")
        if sender is not None:
            row["sender"] = sender
        if "fromIps" in node.attributes:
            row["fromIps"] = _from_ips(scope, node)
        if row.values:
            rows.append(row)
    if not rows:
        scope.fail(nodes[0], "James wants at least one allowedSender", "handlerchain")
    out[key] = rows


def _from_ips(scope, node):
    text = scope.parse(node, str, "handlerchain", "fromIps")
    if text is None:
        return []
    if values.has_variable(text):
        return text
    kept = []
    for item in networks.split(text, ","):
        try:
            found = networks.parse(item)
        except ValueError as error:
            scope.fail(node, f"{quote(item)} is not a network: {error}", "handlerchain",
                       f"{node.path()}@fromIps")
            continue
        for remark in found.remarks:
            scope.warn(node, remark, "handlerchain", f"{node.path()}@fromIps")
        if found.network is not None:
            kept.append(str(found.network))
    return kept


ALLOWED_SENDERS = Option(_allowed_senders, is_needed=True)


def _priorities(scope, nodes, out, key):
    parts = scope.known_children(nodes[0].use(), ("priorityEntry",), ("priorityEntry",))
    rows = []
    for entry in parts.get("priorityEntry", []):
        inner = scope.known_children(entry.use(), ("domain", "priority"))
        row = Map(("domain", "priority"))
        if "domain" not in inner:
            scope.fail(entry, "has no domain", "handlerchain")
            continue
        domain = scope.parse(inner["domain"][0], _text, "handlerchain")
        number = 0
        if "priority" in inner:
            number = scope.parse(inner["priority"][0], lambda text: values.integer(
                text, -PRIORITY_MAX, PRIORITY_MAX), "handlerchain")
        if domain is not None and number is not None:
            row["domain"], row["priority"] = domain, number
            rows.append(row)
    out[key] = rows


PRIORITIES = Option(_priorities)


def secret(scope, node, key="handlerchain"):
    """A password as mxring takes it; it never reaches the report."""
    text = scope.parse(node, str, key)
    if text is None:
        return None
    if text.startswith("file:"):
        scope.fail(node, "a secret that begins with file: would be a path for mxring: write it to "
                         "a file and name that", key)
        return None
    if not values.has_variable(text):
        scope.conversion.has_secrets = True
    return text


def _accounts(scope, nodes, out, key):
    parts = scope.known_children(nodes[0].use(), ("account",), ("account",))
    rows = []
    for account in parts.get("account", []):
        inner = scope.known_children(account.use(), ("username", "passwords"))
        if "username" not in inner or "passwords" not in inner:
            scope.fail(account, "needs username and passwords", "handlerchain")
            continue
        row = Map(("username", "passwords"))
        name = scope.parse(inner["username"][0], _text, "handlerchain")
        box = inner["passwords"][0].use()
        found = scope.known_children(box, ("password",), ("password",)).get("password", [])
        secrets = [secret(scope, node) for node in found]
        if not secrets:
            scope.fail(box, "has no password", "handlerchain")
        if name is not None and None not in secrets:
            row["username"], row["passwords"] = name, secrets
            rows.append(row)
    if not rows:
        scope.fail(nodes[0], "has no account", "handlerchain")
    out[key] = rows


ACCOUNTS = Option(_accounts, is_needed=True)
