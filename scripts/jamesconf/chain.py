"""handlerchain: James's classes to mxring's names, in James's order."""
from jamesconf import names
from jamesconf.hooks import BY_CLASS, CORE, HOOKS, LOADERS, ROOT, WITH_AUTH
from jamesconf.report import WARNING, quote
from jamesconf.versions import MAILET_LOADER, NO_AUTH_LOADER
from jamesconf.yamlout import Map

KEY = "handlerchain"
# coreHandlersPackage -> coreHandlers
PACKAGES = {
    "smtpservers": {"org.apache.james.smtpserver.CoreCmdHandlerLoader": "core",
                    NO_AUTH_LOADER: "noAuth"},
    "lmtpservers": {"org.apache.james.lmtpserver.CoreCmdHandlerLoader": "core",
                    MAILET_LOADER: "core"},
}
UNUSED_ATTRIBUTES = {
    "enableJmx": "mxring has its own counters instead of JMX",
    "jmxHandlersPackage": "mxring has its own counters instead of JMX",
}


def _core(scope, node, kind):
    """coreHandlers, from the attribute."""
    attribute = f"{node.path()}@coreHandlersPackage"
    text = node.attribute("coreHandlersPackage")
    for name, why in UNUSED_ATTRIBUTES.items():
        if name in node.attributes:
            node.attribute(name)
            scope.note(node, f"{why}; ignored", KEY, f"{node.path()}@{name}")
    if not text:
        return "core"
    core = PACKAGES[kind].get(text)
    if core is None:
        meant = names.nearest(text, PACKAGES[kind])
        if meant and scope.arguments.lenient:
            scope.warn(node, f"James has no such class; taken as {meant} (--lenient)",
                       "coreHandlers", attribute)
            return PACKAGES[kind][meant]
        hint = f"; did you mean {meant}?" if meant else ""
        scope.fail(node, f"{quote(text)} cannot be converted: known are "
                         f"{', '.join(PACKAGES[kind])}{hint}", "coreHandlers", attribute)
        return "core"
    if text == MAILET_LOADER:
        scope.note(node, "James hands mail to its pipeline, without STARTTLS; mxring always "
                         "queues it in its spool", "coreHandlers", attribute)
    return core


def _simple_name(scope, node, text, kind):
    """The class without package when James ships it; None: unknown, reported."""
    if text in BY_CLASS:
        return BY_CLASS[text]
    simple = text.rpartition(".")[2]
    own = set(CORE[kind]) | set(WITH_AUTH) | set(LOADERS)
    if text.startswith(ROOT) and simple in own:
        return simple
    known = [*BY_CLASS, *(ROOT + "smtpserver." + name for name in LOADERS[:2])]
    meant = next((name for name in BY_CLASS if name.rpartition(".")[2].lower() == simple.lower()),
                 None) or names.nearest(text, known)
    if meant in BY_CLASS and scope.arguments.lenient:
        scope.warn(node, f"James has no such class; taken as {meant} (--lenient)", KEY)
        return BY_CLASS[meant]
    hint = f"; did you mean {meant}?" if meant else ""
    if scope.arguments.skip_unknown:
        scope.ignore(node, f"unknown class {quote(text)}; skipped (--skip-unknown){hint}", WARNING)
    else:
        scope.fail(node, f"unknown class {quote(text)}: a handler of your own cannot be converted "
                         f"(--skip-unknown leaves it out){hint}", KEY)
        node.use_all()
    return None


def _without_effect(scope, node, name, core, kind):
    """Loaders and core classes add nothing; True when this is one."""
    if name in LOADERS:
        scope.note(node, f"{name} as a handler does nothing: handlers of the file run before the "
                         "core ones wherever it stands", KEY)
        return True
    if name in WITH_AUTH and (core == "noAuth" or kind == "lmtpservers"):
        return False
    if name in CORE[kind] or name in WITH_AUTH:
        scope.note(node, f"{name} belongs to the core set; nothing to add", KEY)
        return True
    if name == "UsersRepositoryAuthHook":
        scope.note(node, "mxring checks its users without it; left out", KEY)
        return True
    return False


def _options(scope, node, hook):
    """The map of a handler's options."""
    out = Map(tuple(hook.options))
    repeated = [name for name, option in hook.options.items() if option.is_repeated]
    found = scope.known_children(node, hook.options, repeated, hook.unread)
    for name, option in hook.options.items():
        if name in found:
            option.convert(scope, found[name], out, name)
        elif option.is_needed:
            scope.fail(node, f"{name} is missing: James does not start without it", KEY)
    if hook.finish:
        hook.finish(scope, node, out)
    return out


def _leave_out(scope, node, name, hook):
    """A class of James that has no place in mxring."""
    if hook.left_out:
        scope.ignore(node, f"{name}: {hook.left_out}; left out", WARNING)
    elif scope.arguments.skip_unknown:
        scope.ignore(node, f"{name}: {hook.refused}; skipped (--skip-unknown)", WARNING)
    else:
        scope.fail(node, f"{name}: {hook.refused} (--skip-unknown leaves it out)", KEY)
        node.use_all()


def _handler(scope, node, core, kind):
    """What stands in the YAML for one handler: a name, a map, or None."""
    if "class" not in node.attributes or not node.attribute("class"):
        scope.fail(node, "has no class", KEY)
        node.use_all()
        return None
    text = scope.expand(node.use(), node.attribute("class"), KEY)
    name = _simple_name(scope, node, text, kind) if text else None
    if name is None:
        return None
    if name in WITH_AUTH or name not in HOOKS or name == "UsersRepositoryAuthHook":
        if _without_effect(scope, node, name, core, kind):
            return None
        return name
    hook = HOOKS[name]
    if hook.left_out or hook.refused:
        _leave_out(scope, node, name, hook)
        return None
    for level, remark in hook.remarks:
        (scope.warn if level == WARNING else scope.note)(node, remark, KEY)
    if hook.denies_message and kind == "lmtpservers":
        scope.warn(node, "James drops its verdict in LMTP; mxring refuses the message", KEY)
    options = _options(scope, node, hook)
    if not options.values and not options.comments:
        return name
    entry = Map()
    entry[name] = options
    return entry


def convert(scope, server, nodes, kind):
    """Fills coreHandlers and handlerchain. Returns the names in the chain."""
    if len(nodes) != 1:
        where = nodes[1] if nodes else server
        count = "has more than one handlerchain" if nodes else "has no handlerchain"
        scope.fail(where, f"{count}: James wants exactly one", KEY, server.path())
        for node in nodes[1:]:
            node.use_all()
    entries, core = [], "core"
    if nodes:
        core = _core(scope, nodes[0].use(), kind)
        found = scope.known_children(nodes[0], ("handler",), ("handler",))
        entries = [_handler(scope, node, core, kind) for node in found.get("handler", [])]
    scope.out["coreHandlers"] = core
    scope.out[KEY] = kept = [entry for entry in entries if entry is not None]
    hooks = [entry if isinstance(entry, str) else next(iter(entry.values)) for entry in kept]
    if not scope.is_tolerant and ("ValidRcptHandler" in hooks or kind == "lmtpservers"):
        scope.conversion.needs_users.append((server, "the check of recipients"))
        scope.conversion.needs_domains = scope.conversion.needs_domains or server
    return hooks
