"""The options of a server that need no more than a look at one element."""
from jamesconf import networks, values
from jamesconf.report import quote

# Announced by mxring and not by James: a converted file announces what James did.
BEYOND_JAMES = ["CHUNKING", "BINARYMIME", "LIMITS"]
CORE_FEATURES = ("PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME")
HOOK_FEATURES = ("DSN", "MT-PRIORITY", "REQUIRETLS", "FUTURERELEASE")
NOT_HIDEABLE = ("AUTH", "SIZE", "STARTTLS", "SMTPUTF8")
TIMEOUT_MAX = 86400           # seconds: the longest that mxring waits
DATA_TIMEOUT = 600            # seconds: its default while content is received
BACKLOG_MAX = 65535
GREETING_MAX = 500
NAME_MAX = 64
DEFAULT_PORTS = {"smtpservers": 25, "lmtpservers": 24}


def enabled(scope, node):
    if "enabled" in node.attributes:
        scope.put(node, "enabled", values.boolean, "enabled")


def name(scope, node):
    scope.put(node, "name", lambda text: values.printable(text, NAME_MAX))


def _bind_address(scope, node, text):
    """One ip:port as mxring takes it; None: refused and reported."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        scope.fail(node, f"{quote(text)} has no port: James needs ADDRESS:PORT", "bind")
        return None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        scope.fail(node, f"the port of {quote(text)} is not 0..65535", "bind")
        return None
    if host.startswith("[") and host.endswith("]"):
        scope.note(node, f"{quote(text)}: James cannot bind to IPv6, mxring does", "bind")
        return f"{host}:{int(port)}"
    if host and all(c.isdigit() or c == "." for c in host):
        if len(host.split(".")) != 4 or any(not p or int(p[:4]) > 255 for p in host.split(".")):
            scope.fail(node, f"{quote(host)} is not an address", "bind")
            return None
        return f"{host}:{int(port)}"
    ip = networks.resolve(host) if host else None
    if ip is None:
        scope.fail(node, f"the host name {quote(host)} is not known here: write its address",
                   "bind")
        return None
    shown = f"[{ip}]" if ip.version == 6 else str(ip)
    if host.lower() != "localhost":
        scope.warn(node, f"mxring binds to numeric addresses: {quote(host)} was {ip} at the "
                         "conversion", "bind")
    return f"{shown}:{int(port)}"


def bind(scope, node, kind):
    """James's default is written out when the element is missing."""
    if node is None:
        scope.out["bind"] = f"0.0.0.0:{DEFAULT_PORTS[kind]}"
        scope.out.say("bind", "bind is not set: James's default.")
        return
    text = scope.expand(node.use(), node.text, "bind")
    if text is None:
        return
    if values.has_variable(text):
        scope.out["bind"] = text
        return
    items = [item.strip() for item in text.split(",")]
    addresses = [_bind_address(scope, node, item) for item in items]
    if None in addresses:
        return
    taken = scope.conversion.binds
    for address in addresses:
        first = taken.get(address)
        if first is not None and not address.endswith(":0"):
            scope.fail(node, f"{address} is already bound in {first.file}:{first.line}", "bind")
        elif not scope.is_tolerant:
            taken[address] = node
    scope.out["bind"] = addresses[0] if len(addresses) == 1 else addresses


def hello_name(scope, node):
    auto = "autodetect" in node.attributes
    detect = scope.parse(node, values.boolean, "helloName", "autodetect") if auto else True
    if detect is None:
        return
    if values.has_variable(detect):
        scope.fail(node, "autodetect must be true or false here: mxring has one value, a name or "
                         "auto", "helloName")
        return
    if detect and node.use().text and not (scope.arguments.lenient and not auto):
        why = "autodetect is true" if auto else 'autodetect="false" is missing'
        scope.warn(node, f"James ignores the name, {why}: the name of the machine is used",
                   "helloName")
        detect = True
    elif detect and node.text:
        scope.warn(node, 'James ignores the name, autodetect="false" is missing; applied '
                         "(--lenient)", "helloName")
        detect = False
    if detect:
        scope.out["helloName"] = "auto"
    else:
        scope.put(node, "helloName", values.host)


def backlog(scope, node):
    number = scope.parse(node, values.integer, "connectionBacklog")
    if isinstance(number, int) and not 1 <= number <= BACKLOG_MAX:
        used = 200 if number < 1 else BACKLOG_MAX
        scope.warn(node, f"{number} is outside 1..{BACKLOG_MAX}: {used} is used",
                   "connectionBacklog")
        number = used
    if number is not None:
        scope.out["connectionBacklog"] = number


def timeout(scope, node):
    key = "connectionTimeout"
    number = scope.parse(node, values.integer, key)
    if number is None or values.has_variable(number):
        if number:
            scope.out[key] = number
        return
    if number < 0:
        scope.fail(node, f"must not be negative, but is {number}", key)
        return
    if number > TIMEOUT_MAX:
        scope.warn(node, f"mxring waits {TIMEOUT_MAX} s at most", key)
        number = TIMEOUT_MAX
    scope.out[key] = f"{number}s"
    if number > 0:
        scope.note(node, "James closes without a word, and only after the second time like this; "
                         "mxring answers 421 after the first and closes", key)
    if number == 0 or number > DATA_TIMEOUT:
        scope.out["dataTimeout"] = f"{number}s"
        scope.note(node, "also written for the content, where mxring's own default would be "
                         f"{DATA_TIMEOUT} s", "dataTimeout")


def limit(scope, node, key):
    """connectionLimit and connectionLimitPerIP: no number is 0 for James."""
    def parse(text):
        try:
            number = values.integer(text)
        except ValueError:
            scope.warn(node, f"{quote(text)} is not a number: James logs it and takes 0, no limit",
                       key)
            return 0
        if number < 0:
            raise ValueError("must not be negative, but is {value}")
        if number > 0:
            scope.note(node, "James closes what is above it without a word; mxring answers 421",
                       key)
        return number
    scope.put(node, key, parse)


def message_size(scope, node, kind):
    key = "maxMessageSize"
    if node is None:
        scope.out[key] = 0
        scope.out.say(key, "maxmessagesize is not set: no limit, as in James.")
        return
    bare_only = kind == "lmtpservers" or scope.version.is_before("3.7")

    def parse(text):
        size = values.octets(text, 1024)
        if bare_only and not text.lstrip("-").isdigit():
            scope.note(node, f"James would refuse the unit in {quote(text)} here; mxring takes it",
                       key)
        if size is not None and size > values.SIZE_MAX:
            scope.warn(node, "beyond mxring's largest limit, 1024G: no limit", key)
            size = None
        return 0 if size is None else values.size_text(size)
    scope.put(node, key, parse)


def line_length(scope, node):
    def parse(text):
        number = values.integer(text)
        if not 1000 <= number <= 1048576:
            raise ValueError("maxLineLength must be between 1000 and 1048576")
        scope.note(node, "James also cuts lines of the content with it; mxring limits commands "
                         "only (maxDataLineLength is for the content)", "maxLineLength")
        return number
    scope.put(node, "maxLineLength", parse)


def greeting(scope, node, key):
    if not node.use().text:
        scope.warn(node, "is empty: the generated greeting is used", key)
        return
    scope.put(node, key, lambda text: values.printable(text, GREETING_MAX))
    if key == "lmtpGreeting":
        scope.warn(node, "James never used it, whatever its documentation says; mxring does", key)


def _feature(scope, node, text, known):
    """The keyword to hide; None when James hides nothing either."""
    if text in HOOK_FEATURES:
        scope.warn(node, f"mxring cannot hide the line {text}; left out", "disabledFeatures")
        return None
    if text in known:
        return text
    why = "James hides only the exact lines " + ", ".join(known)
    upper = text.upper()
    if text in NOT_HIDEABLE:
        why = "James cannot hide this line"
    elif "," in text or " " in text:
        why = "James does not split it: it hides nothing"
    elif upper in known:
        if scope.arguments.lenient:
            scope.warn(node, f"James wants {upper}; applied (--lenient)", "disabledFeatures")
            return upper
        why += f"; did you mean {upper}?"
    scope.warn(node, f"{quote(text)}: {why}; left out", "disabledFeatures")
    return None


def features(scope, nodes):
    known = CORE_FEATURES + HOOK_FEATURES
    hidden = []
    for node in nodes:
        text = scope.parse(node, str, "disabledFeatures")
        texts = [text] if text else []
        if scope.arguments.lenient and text and "," in text:
            scope.warn(node, "James does not split it at commas; split (--lenient)",
                       "disabledFeatures")
            texts = networks.split(text)
        for one in texts:
            found = one if values.has_variable(one) else _feature(scope, node, one, known)
            if found and found not in hidden:
                hidden.append(found)
    scope.out["disabledFeatures"] = hidden + BEYOND_JAMES
    scope.out.say("disabledFeatures", f"{', '.join(BEYOND_JAMES)}: mxring can and James cannot; "
                                      "take them out of this list to announce them.")
