"""One smtpserver or lmtpserver."""
from jamesconf import access, chain, options, tls, values
from jamesconf.report import quote
from jamesconf.scope import Scope
from jamesconf.yamlout import Map

ORDER = ("enabled", "name", "bind", "helloName", "connectionBacklog", "connectionTimeout",
         "dataTimeout", "connectionLimit", "connectionLimitPerIP", "proxyRequired", "proxyFirst",
         "tls", "auth", "authorizedAddresses", "verifyIdentity", "maxMessageSize", "maxLineLength",
         "maxRecipients", "heloEhloEnforcement", "addressBracketsEnforcement", "smtpGreeting",
         "lmtpGreeting", "disabledFeatures", "gracefulShutdown", "coreHandlers", "handlerchain")

BOTH = ("bind", "jmxName", "helloName", "connectionBacklog", "connectiontimeout", "connectionLimit",
        "connectionLimitPerIP", "tls", "gracefulShutdown", "proxyRequired", "proxyFirst",
        "maxmessagesize", "handlerchain", "ioWorkerCount", "bossWorkerCount", "maxExecutorCount",
        "useEpoll", "highWriteBufferWaterMark", "lowWriteBufferWaterMark")
SMTP = ("auth", "authRequired", "authorizedAddresses", "verifyIdentity", "heloEhloEnforcement",
        "addressBracketsEnforcement", "maxLineLength", "smtpGreeting", "disabledFeatures")
LMTP = ("lmtpGreeting",)
KNOWN = {"smtpservers": BOTH + SMTP, "lmtpservers": BOTH + LMTP}

IMAP_ONLY = "James reads this for IMAP only"
IMAP = ("trafficShaping", "compress", "timeout", "idleTimeInterval", "idleTimeIntervalUnit",
        "enableIdle", "plainAuthDisallowed")
REASONS = {
    "smtpservers": {**dict.fromkeys(IMAP, IMAP_ONLY),
                    "lmtpGreeting": "James reads this for LMTP only"},
    "lmtpservers": {**dict.fromkeys(IMAP, IMAP_ONLY),
                    **dict.fromkeys(SMTP, "James reads this for SMTP only")},
}

# What a Java server needs and rings do not: checked as James does, then noted.
NO_USE = {
    "ioWorkerCount": (values.integer, "threads of Netty: mxring has a worker for each CPU "
                                      "(engine.workers)"),
    "bossWorkerCount": (values.integer, "threads of Netty: every worker of mxring accepts"),
    "maxExecutorCount": (values.integer, "threads of Netty: mxring needs none"),
    "useEpoll": (values.boolean, "mxring uses io_uring"),
    "highWriteBufferWaterMark": (lambda text: values.octets(text, 1),
                                 "James applies it to IMAP only; see engine.maxUnsent"),
    "lowWriteBufferWaterMark": (lambda text: values.octets(text, 1),
                                "James applies it to IMAP only; see engine.maxUnsent"),
}
FLAGS = ("gracefulShutdown", "proxyRequired", "proxyFirst", "heloEhloEnforcement",
         "addressBracketsEnforcement")


def _one(found, name):
    nodes = found.get(name)
    return nodes[0] if nodes else None


def _simple(scope, found, kind):
    """Options that do nothing when they are missing."""
    table = {
        "jmxName": options.name,
        "helloName": options.hello_name,
        "connectionBacklog": options.backlog,
        "connectiontimeout": options.timeout,
        "maxLineLength": options.line_length,
        "connectionLimit": lambda s, n: options.limit(s, n, "connectionLimit"),
        "connectionLimitPerIP": lambda s, n: options.limit(s, n, "connectionLimitPerIP"),
        "smtpGreeting": lambda s, n: options.greeting(s, n, "smtpGreeting"),
        "lmtpGreeting": lambda s, n: options.greeting(s, n, "lmtpGreeting"),
        **{flag: lambda s, n, key=flag: s.put(n, key, values.boolean) for flag in FLAGS},
    }
    for name, apply in table.items():
        node = _one(found, name)
        if node is not None:
            apply(scope, node)
    for name, (parse, why) in NO_USE.items():
        node = _one(found, name)
        if node is not None and _is_fine(scope, node, parse):
            scope.note(node, f"{why}; ignored")
    options.bind(scope, _one(found, "bind"), kind)
    options.message_size(scope, _one(found, "maxmessagesize"), kind)
    options.features(scope, found.get("disabledFeatures", []))


def _is_fine(scope, node, parse):
    """Would James take the value? A size of None is fine, too."""
    text = scope.expand(node, node.text)
    if text is None or values.has_variable(text):
        return text is not None
    try:
        parse(text)
    except ValueError as error:
        scope.fail(node, str(error).replace("{value}", quote(text)))
        return False
    return True


def convert(conversion, kind, node):
    """The entry of the YAML for one server."""
    scope = Scope(conversion, Map(ORDER))
    options.enabled(scope, node)
    scope.is_tolerant = scope.out.get("enabled") is False
    found = scope.known_children(node, KNOWN[kind], ("disabledFeatures", "handlerchain"),
                                 REASONS[kind])
    _simple(scope, found, kind)
    hooks = chain.convert(scope, node, found.get("handlerchain", []), kind)
    if kind == "smtpservers":
        access.convert(scope, node, found, hooks)
    if scope.version.is_before("3.9"):
        scope.note(node, f"{scope.version} takes any name after HELO and EHLO; mxring refuses bad "
                         "ones (501 5.5.2), as James does since 3.9")
    tls.convert(scope, _one(found, "tls"), kind, found.get("handlerchain", []))
    access.check_proxy(scope, found)
    return scope.out
