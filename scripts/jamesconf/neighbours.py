"""domainlist.xml, usersrepository.xml, recipientrewritetable.xml: who is local."""
import os
import re

from jamesconf import values
from jamesconf.report import NOTE, WARNING, quote
from jamesconf.scope import Scope

ROOTS = ("domainlist", "usersrepository", "recipientrewritetable")
DOMAINS_MAX = 262_144      # mxring's bound for all lists of a file
FAILURE_DELAY_MAX = 60_000  # ms
ALIAS_LIMIT_MAX = 50
USERS_FILE, ALIASES_FILE = "users", "aliases"
HASHES = ("PBKDF2-SHA512",)
ALIAS_PREFIXES = ("regex:", "error:", "domain:", "address:", "alias:", "forward:", "group:")


def _root(conversion, name):
    """The first file of that kind; others are refused."""
    found = [root for root in conversion.roots if root.name == name]
    for root in found[1:]:
        conversion.fail(root, f"a second {name}: the first is {found[0].file}")
        root.use_all()
    return found[0] if found else None


def _note_class(scope, root, what):
    """The class says where James keeps its data; mxring has files."""
    for name in ("class", "name", "destinationURL"):
        if root.attribute(name):
            scope.note(root, what, None, f"{root.name}@{name}")


# --- domainlist.xml --------------------------------------------------------------------------

DOMAIN_KNOWN = ("domainnames", "autodetect", "autodetectIP", "defaultDomain", "read.cache.enable",
                "read.cache.expiracy", "read")


def _domain(scope, node, key):
    text = scope.parse(node, values.host, key)
    return text if text is None or values.has_variable(text) else text.lower()


def _domain_names(scope, root, parts):
    kept = {}
    if "domainnames" in parts:
        box = parts["domainnames"][0].use()
        found = scope.known_children(box, ("domainname",), ("domainname",))
        for node in found.get("domainname", []):
            name = _domain(scope, node, "domains")
            if name in kept:
                scope.note(node, f"{name} is there twice", "domains")
            elif name is not None:
                kept[name] = node
    if len(kept) > DOMAINS_MAX:
        scope.fail(root, f"more than {DOMAINS_MAX} domains", "domains")
    return list(kept)


def _detect(scope, parts):
    for name, what in (("autodetect", "the name of the machine"),
                       ("autodetectIP", "the addresses of the machine and of its domains")):
        node = parts.get(name, [None])[0]
        if node is None:
            continue
        value = scope.parse(node, values.boolean, "domains")
        if value is False:
            scope.note(node, "off, as in mxring", "domains")
        elif value is not None:
            scope.warn(node, f"James adds {what} to the domains by itself; write it into domains",
                       "domains")


def _domains(scope, root):
    _note_class(scope, root, "mxring has the domains in its configuration")
    parts = scope.known_children(root, DOMAIN_KNOWN)
    names = _domain_names(scope, root, parts)
    _detect(scope, parts)
    for name in ("read.cache.enable", "read.cache.expiracy", "read"):
        if name in parts:
            scope.ignore(parts[name][0], "mxring needs no cache for it; ignored")
    scope.out["domains"] = names
    if not names:
        scope.warn(root, "holds no domain: James keeps them elsewhere; write them into domains, "
                         "else mail is accepted for nobody", "domains")
    if "defaultDomain" in parts:
        default = _domain(scope, parts["defaultDomain"][0], "defaultDomain")
        if default is not None:
            scope.out["defaultDomain"] = default
            if default not in names:
                scope.warn(parts["defaultDomain"][0], f"{quote(default)} is not among the domains "
                                                      "of this file: add it if it is local",
                           "defaultDomain")
    elif names:
        scope.out["defaultDomain"] = names[0]
        scope.note(root, f"no defaultDomain: James takes the first domain, {names[0]}",
                   "defaultDomain")


# --- usersrepository.xml ---------------------------------------------------------------------

USERS_KNOWN = ("enableVirtualHosting", "algorithm", "verifyFailureDelay", "administratorId",
               "administratorIds", "enableForwarding", "destination", "sqlFile")
USERS_NO_USE = {
    "enableForwarding": "mxring does not forward for users; see aliases",
    "destination": "mxring has its users in a file",
    "sqlFile": "mxring has its users in a file",
    "administratorId": "mxring lets nobody act as somebody else",
    "administratorIds": "mxring lets nobody act as somebody else",
}


def _users(scope, root):
    _note_class(scope, root, "mxring has its users in a file, one line each")
    parts = scope.known_children(root, USERS_KNOWN)
    for name, why in USERS_NO_USE.items():
        if name in parts:
            scope.ignore(parts[name][0], f"{why}; ignored",
                         WARNING if name.startswith("admin") else NOTE)
    node = parts.get("enableVirtualHosting", [None])[0]
    if node is not None:
        value = scope.parse(node, values.boolean, "users")
        if value is False:
            scope.warn(node, "users are local parts in James; in mxring's file each is "
                             "user@domain, with defaultDomain", "users")
        elif value is not None:
            scope.note(node, "users are whole addresses, as in mxring", "users")
    node = parts.get("algorithm", [None])[0]
    if node is not None:
        text = scope.parse(node, str, "users")
        if text and not text.upper().startswith(HASHES):
            scope.warn(node, f"mxring cannot check {quote(text)} hashes: give those users new "
                             "passwords (mxring passwd)", "users")
        elif text:
            scope.note(node, "mxring checks these hashes: {PBKDF2-SHA512-ITERATIONS-BITS}BASE64",
                       "users")
    node = parts.get("verifyFailureDelay", [None])[0]
    if node is not None:
        _failure_delay(scope, node)


def _failure_delay(scope, node):
    """James has one for all servers, mxring one for each."""
    ms = scope.parse(node, lambda text: values.milliseconds(text, "s"), "users")
    if isinstance(ms, int) and ms > FAILURE_DELAY_MAX:
        scope.warn(node, f"mxring waits {FAILURE_DELAY_MAX // 1000} s at most", "users")
        ms = FAILURE_DELAY_MAX
    if ms is None:
        return
    value = values.duration_text(ms) if isinstance(ms, int) else ms
    with_auth = [server for server in scope.out.get("smtpservers", []) if "auth" in server]
    for server in with_auth:
        server["auth"]["failureDelay"] = value
    scope.note(node, "is auth.failureDelay of every SMTP server" if with_auth else
               "no SMTP server has AUTH: nobody's login can fail", "users")


# --- recipientrewritetable.xml ---------------------------------------------------------------

TABLE_KNOWN = ("recursiveMapping", "mappingLimit", "mapping", "sqlFile")
ADDRESS_MAX = 320  # characters of an address; mxring's file takes more


def _address(text, default, what):
    """A whole address; a bare name belongs to the default domain."""
    if "@" not in text and default:
        text = f"{text}@{default}"
    try:
        return values.mailbox(values.printable(text, ADDRESS_MAX))
    except ValueError:
        raise ValueError(f"the {what} {quote(text)}") from None


def _domain_name(text):
    """@domain, from what stands behind the @."""
    try:
        return f"@{values.host(text)}"
    except ValueError:
        raise ValueError(f"the domain {quote(text)}") from None


def _targets(text, default):
    """The targets of one mapping. Raises ValueError for what mxring's file cannot say."""
    found = []
    for item in re.split("[;,]", text):
        item = item.strip()
        if not item:
            continue
        for prefix in ("address:", "alias:", "forward:", "group:"):
            item = item.removeprefix(prefix)
        if item.startswith(("regex:", "error:", "domain:")):
            raise ValueError(f"{item.partition(':')[0]} mappings")
        found.append(_address(item, default, "target"))
    if not found:
        raise ValueError("a mapping without a target")
    return found


def _mapping(text, default):
    """The source of one mapping and its targets."""
    source, equals, target = text.partition("=")
    source, target = source.strip(), target.strip()
    if not equals or not source:
        raise ValueError("a mapping without =")
    if source.startswith("@") or source.startswith("*@"):
        domain = source.rpartition("@")[2]
        match = re.fullmatch(r"(?:domain:)?@?([A-Za-z0-9.-]+)", target)
        if not match or "@" in source[2:] or not target.startswith(("domain:", "@")):
            raise ValueError("a target for everybody in a domain, other than another domain")
        return _domain_name(domain), [_domain_name(match[1])]
    if source.startswith("#"):
        raise ValueError("a source that begins with #, as comments do")
    return _address(source, default, "source"), _targets(target, default)


class _Aliases:
    """mxring's file has one line for a source; letters are compared without regard to their case."""

    def __init__(self, scope):
        self.scope = scope
        self.rows = {}  # source in lower case: (its node, itself, {target in lower case: target})

    def add(self, node, source, targets):
        first, _, row = self.rows.setdefault(source.lower(), (node, source, {}))
        new = {target.lower(): target for target in targets if target.lower() not in row}
        if source.startswith("@") and row and new:
            raise ValueError(f"a second domain that {source} stands for, beside that of line "
                             f"{first.line}")
        if first is not node:
            what = "its targets join those of" if new else "nothing that is not in"
            self.scope.note(node, f"{source}: {what} line {first.line}", "aliases")
        row.update(new)

    def lines(self):
        return [f"{source}: {', '.join(row.values())}" for _, source, row in self.rows.values()]


def _mappings(scope, nodes):
    aliases = _Aliases(scope)
    default = scope.out.get("defaultDomain")
    for node in nodes:
        text = scope.parse(node, str, "aliases")
        if text is None:
            continue
        try:
            if values.has_variable(text):
                raise ValueError("a variable")
            aliases.add(node, *_mapping(text, default))
        except ValueError as error:
            scope.warn(node, f"mxring's aliases cannot say this ({error}); left out", "aliases")
    return aliases.lines()


def _alias_limit(scope, parts):
    """aliasLimit: how often an address is rewritten; 0 is once."""
    node = parts.get("mappingLimit", [None])[0]
    number = scope.parse(node, values.integer, "aliasLimit") if node is not None else None
    if isinstance(number, int) and not 1 <= number <= ALIAS_LIMIT_MAX:
        used = min(max(number, 1), ALIAS_LIMIT_MAX)
        scope.warn(node, f"{number} is outside 1..{ALIAS_LIMIT_MAX}: {used} is used", "aliasLimit")
        number = used
    if number is not None:
        scope.out["aliasLimit"] = number
    node = parts.get("recursiveMapping", [None])[0]
    recursive = scope.parse(node, values.boolean, "aliasLimit") if node is not None else None
    if recursive is False:
        scope.note(node, "an address is rewritten once: aliasLimit is 0", "aliasLimit")
        scope.out["aliasLimit"] = 0
    elif values.has_variable(recursive):
        scope.fail(node, "a variable cannot stand here: it decides about aliasLimit", "aliasLimit")
    elif recursive is not None:
        scope.note(node, "aliases of aliases are followed, as in mxring", "aliasLimit")


def _table(scope, root):
    _note_class(scope, root, "mxring has its aliases in a file, one line each")
    parts = scope.known_children(root, TABLE_KNOWN, ("mapping",))
    if "sqlFile" in parts:
        scope.ignore(parts["sqlFile"][0], "mxring has its aliases in a file; ignored")
    _alias_limit(scope, parts)
    lines = _mappings(scope, parts.get("mapping", []))
    if not lines:
        return
    output = scope.arguments.output
    if not output:
        scope.warn(root, "the mappings are written to a file only with -o FILE, beside it",
                   "aliases")
        return
    path = os.path.join(os.path.dirname(os.path.abspath(output)), ALIASES_FILE)
    head = f"# Converted by james2yaml.py from {quote(os.path.basename(root.file))}.\n"
    scope.conversion.files.append((path, (head + "\n".join(lines) + "\n").encode(), 0o644))
    scope.out["aliases"] = ALIASES_FILE  # relative to the YAML
    scope.note(root, f"{len(lines)} aliases are written to the file {ALIASES_FILE}", "aliases")


# --- all of them -----------------------------------------------------------------------------

def _say_what_is_missing(scope, conversion, domains, users):
    """Without the neighbours a server starts and accepts nothing."""
    server = conversion.needs_domains
    if domains is None and server is not None:
        scope.out["domains"] = []
        scope.note(server, "no domainlist.xml was given: write your domains into domains, else "
                           "mail is accepted for nobody", "domains")
    _say_who_needs_users(scope, conversion, users)


def _say_who_needs_users(scope, conversion, users):
    """James has them in a store of its own: nothing here can read it."""
    make = ("which James keeps in its own store: write them into a file, one line "
            "user@domain:HASH each (mxring passwd)")
    if conversion.needs_users:
        node, what = conversion.needs_users[0]
        where = users or node
        output = scope.arguments.output
        folder = os.path.dirname(os.path.abspath(output)) if output else None
        scope.out["users"] = USERS_FILE  # relative to the YAML
        if folder and os.path.exists(os.path.join(folder, USERS_FILE)):
            scope.note(where, f"{what} looks into the file {USERS_FILE} beside the YAML", "users")
        else:
            scope.warn(where, f"{what} needs users, {make}, named {USERS_FILE} beside the YAML: "
                              "mxring check asks for it, too", "users")
    elif conversion.wants_users or users is not None:
        node, what = conversion.wants_users[0] if conversion.wants_users else (users, "AUTH")
        scope.note(users or node, f"{what} asks for users, {make}, and name it, as in "
                                  f"users: {USERS_FILE}; without it nobody can log in", "users")


def convert(conversion):
    scope = Scope(conversion, conversion.top)
    domains, users, table = (_root(conversion, name) for name in ROOTS)
    for root, apply in ((domains, _domains), (users, _users), (table, _table)):
        if root is not None:
            apply(scope, root)
    _say_what_is_missing(scope, conversion, domains, users)
