"""Who may relay, who must log in, and whose name a client may use."""
from jamesconf import networks, values
from jamesconf.report import WARNING, quote
from jamesconf.yamlout import Map

ANNOUNCE = ("never", "always", "forUnauthorizedAddresses")
AUTH_ORDER = ("announce", "required", "requireSSL", "plainAuthEnabled", "saslMechanisms")
AUTH_KEYS = (*AUTH_ORDER, "failureDelay")
AUTH_KNOWN = ("announce", "required", "requireSSL", "plainAuthEnabled", "saslMechanisms", "oidc",
              "gssapi")
MECHANISMS = {"LoginSaslMechanismFactory": "LOGIN", "PlainSaslMechanismFactory": "PLAIN"}
UNSERVED = {"OauthBearerSaslMechanismFactory": "OAUTHBEARER",
            "XOauth2SaslMechanismFactory": "XOAUTH2"}
DEFAULT_MECHANISMS = ["LOGIN", "PLAIN"]
UNSET = {"announce": "not set: what authRequired says.",
         "requireSSL": "not set: false in James's code, whatever its documentation says."}
IDENTITY = {"strict": "strict", "true": "strict", "relaxed": "relaxed", "disabled": "disabled",
            "false": "disabled"}
FROM_HEADER = ("strict also refuses messages without From and Sender header, from anybody "
               "(503 5.5.4 at the end of DATA).")


def _one(found, name):
    nodes = found.get(name)
    return nodes[0] if nodes else None


# --- authorizedAddresses ---------------------------------------------------------------------

def _item(scope, node, text):
    """The network of one item, None when it is dropped or wrong."""
    key = "authorizedAddresses"
    try:
        item = networks.parse(text)
    except ValueError as error:
        scope.fail(node, f"{quote(text)} is not a network: {error}", key)
        return None
    for remark in item.remarks:
        scope.warn(node, remark, key)
    network = item.network
    if network is not None and networks.is_open(network):
        if not scope.arguments.keep_open_relay:
            scope.warn(node, f"OPEN RELAY: {quote(text)} lets the world relay; dropped "
                             "(--keep-open-relay keeps it)", key)
            return None
        scope.warn(node, f"OPEN RELAY: {quote(text)} lets the world relay; kept "
                         "(--keep-open-relay)", key)
        scope.conversion.has_open_relay = True
    return network


def _whole(scope, node, found):
    """All networks of the element; what covers the world in pieces is an open relay, too."""
    key = "authorizedAddresses"
    if not any(networks.is_open(network) for network in found) and networks.cover_the_world(found):
        if not scope.arguments.keep_open_relay:
            scope.warn(node, "OPEN RELAY: these networks together are the world; dropped "
                             "(--keep-open-relay keeps them)", key)
            return []
        scope.warn(node, "OPEN RELAY: these networks together are the world; kept "
                         "(--keep-open-relay)", key)
        scope.conversion.has_open_relay = True
    return found


def _implicit_relay(scope, server, found):
    """No element: nobody may relay, but in 3.6 everybody did when AUTH was not asked for."""
    key = "authorizedAddresses"
    required = _one(found, "authRequired")
    asks_auth = required is not None and required.text.lower() in ("true", "announce")
    if not scope.version.is_before("3.7") or asks_auth or scope.is_tolerant:
        scope.out[key] = []
        return
    why = ("OPEN RELAY: without authorizedAddresses and authRequired James 3.6 relays for "
           "everybody; ")
    if scope.arguments.keep_open_relay:
        scope.warn(server, why + "kept (--keep-open-relay)", key)
        scope.out[key] = ["0.0.0.0/0"]
        scope.conversion.has_open_relay = True
    else:
        scope.warn(server, why + "nobody may relay now (--keep-open-relay keeps it)", key)
        scope.out[key] = []


def addresses(scope, server, node, found):
    key = "authorizedAddresses"
    if node is None or not node.use().text:
        if node is not None:
            scope.warn(node, "is empty: as if it was not there", key)
        _implicit_relay(scope, server, found)
        return
    text = scope.expand(node, node.text, key)
    if text is None:
        return
    if values.has_variable(text):
        scope.warn(node, "is known only when mxring starts: not checked for open relays, names "
                         "and James's wrong IPv6 prefixes; mxring check does", key)
        scope.out[key] = text
        return
    items = [_item(scope, node, item) for item in networks.split(text)]
    kept = _whole(scope, node, [network for network in items if network is not None])
    scope.out[key] = [str(network) for network in dict.fromkeys(kept)]


# --- AUTH ------------------------------------------------------------------------------------

def _announce(scope, out, node, required):
    """auth.announce, else what authRequired says."""
    if node is not None:
        if required is not None:
            scope.ignore(required, "ignored: auth.announce is there", WARNING)
        value = scope.parse(node, lambda text: values.word(text, ANNOUNCE), "auth")
        out["announce"] = value or "never"
        return
    out["announce"] = "never"
    if required is None:
        return
    text = scope.expand(required.use(), required.text, "auth")
    if text is None:
        return
    if values.has_variable(text):
        scope.fail(required, "a variable cannot stand here: write auth.announce in the XML", "auth")
        return
    lowered = text.lower()
    out["announce"] = {"true": "forUnauthorizedAddresses", "announce": "always"}.get(lowered,
                                                                                     "never")
    if lowered not in ("true", "announce", "false"):
        scope.warn(required, f"{quote(text)} is the same as false for James", "auth")
    elif lowered == "false":
        scope.note(required, "AUTH is not announced; it works all the same, as in James", "auth")
    elif lowered == "true":
        scope.note(required, "only announces AUTH, as in James: auth.required demands it", "auth")


def _mechanisms(scope, node):
    if node is None:
        return list(DEFAULT_MECHANISMS)
    text = scope.parse(node, str, "auth")
    if text is None:
        return list(DEFAULT_MECHANISMS)
    if values.has_variable(text):
        scope.fail(node, "class names must be in the file", "auth")
        return []
    kept = []
    for item in networks.split(text, ","):
        simple = item.rpartition(".")[2]
        mechanism = MECHANISMS.get(simple)
        if mechanism:
            if mechanism not in kept:
                kept.append(mechanism)
        elif simple in UNSERVED:
            scope.warn(node, f"mxring does not serve {UNSERVED[simple]}; left out", "auth")
        elif scope.arguments.skip_unknown:
            scope.warn(node, f"unknown mechanism {quote(item)}; skipped (--skip-unknown)", "auth")
        else:
            scope.fail(node, f"unknown mechanism {quote(item)}: mxring has "
                             f"{', '.join(MECHANISMS)} (--skip-unknown leaves it out)", "auth")
    return kept


def _warn_of_clear_text(scope, node, out, socket_tls):
    """Unsafe, and kept: passwords that may cross the network in clear."""
    passwords = out["plainAuthEnabled"] is not False and out["saslMechanisms"]
    if not passwords or socket_tls:
        return
    if out["announce"] != "never" and out["requireSSL"] is not True:
        scope.warn(node, "unsafe: AUTH is announced without TLS and passwords cross the network in "
                         "clear; set requireSSL", "auth")
    elif out["requireSSL"] is True:
        scope.note(node, "James only hides AUTH before TLS and takes it all the same; mxring takes "
                         "it only under TLS", "auth")
    else:
        scope.note(node, "AUTH is not announced and works all the same, without TLS, too, as in "
                         "James; requireSSL: true ends that", "auth")


def _no_auth(scope, parts, required):
    """The set without AUTH: what James reads and does not use is checked, noted and left out."""
    why = "has no effect with NoAuthCmdHandlerLoader, in James and here; left out"
    if required is not None:
        scope.note(required, why, "auth")
    for name, nodes in parts.items():
        if name == "saslMechanisms":
            value = _mechanisms(scope, nodes[0])
        elif name == "announce":
            value = scope.parse(nodes[0], lambda text: values.word(text, ANNOUNCE), "auth")
        else:
            value = scope.parse(nodes[0], values.boolean, "auth")
        if name == "required" and value is True:
            scope.warn(nodes[0], why, "auth")
        elif value is not None:
            scope.note(nodes[0], why, "auth")


def _unserved(scope, parts):
    for name in ("oidc", "gssapi"):
        if name in parts:
            scope.ignore(parts.pop(name)[0], f"mxring has no {name} log-in; left out", WARNING)


def auth(scope, found, has_auth):
    node = _one(found, "auth")
    out = Map(AUTH_KEYS)
    parts = {}
    if node is not None:
        parts = scope.known_children(node.use(), AUTH_KNOWN)
        _unserved(scope, parts)
    if not has_auth:
        _no_auth(scope, parts, _one(found, "authRequired"))
        return
    _announce(scope, out, _one(parts, "announce"), _one(found, "authRequired"))
    for key, default in (("required", False), ("requireSSL", False), ("plainAuthEnabled", True)):
        part = _one(parts, key)
        value = scope.parse(part, values.boolean, "auth") if part is not None else None
        out[key] = default if value is None else value
    for key in AUTH_ORDER if node is not None else ():
        if key not in parts:
            out.say(key, UNSET.get(key, "not set: James's default."))
    if node is None:
        scope.out.say("auth", "auth is not set: James's defaults.")
    out["saslMechanisms"] = _mechanisms(scope, _one(parts, "saslMechanisms"))
    scope.out["auth"] = out
    tls = _one(found, "tls")
    socket_tls = tls is not None and tls.attributes.get("socketTLS", "").strip().lower() in \
        values.TRUE
    if node is not None:
        _warn_of_clear_text(scope, node, out, socket_tls)


# --- identity --------------------------------------------------------------------------------

def identity(scope, node):
    key = "verifyIdentity"
    if node is None:
        value = "disabled" if scope.version.name in ("3.7", "3.8") else "strict"
        scope.out[key] = value
        scope.out.say(key, f"not set: the default of {scope.version}; 3.6 and 3.9 or newer: strict,"
                           " 3.7 and 3.8: disabled.")
        if value == "strict":
            scope.out.say(key, FROM_HEADER)
        return
    value = scope.parse(node, lambda text: IDENTITY[values.word(text, IDENTITY)], key)
    if value is None:
        return
    scope.out[key] = value
    is_old = scope.version.is_before("3.9")
    if is_old and node.text.lower() in ("strict", "relaxed", "disabled"):
        scope.warn(node, f"{scope.version} knew only true and false", key)
    if value == "strict" and is_old:
        scope.warn(node, f"{scope.version} looked at MAIL and RCPT only; " + FROM_HEADER, key)
    elif value == "strict":
        scope.out.say(key, FROM_HEADER)


def _warn_of_guess(scope, server, node):
    """The default depends on the version, and the file does not show which it is."""
    shown = scope.version.shown
    is_open = scope.arguments.james_version is None and shown and shown[0] in ("3.7", "3.8")
    if node is None and is_open and not scope.is_tolerant:
        scope.warn(server, f"verifyIdentity is not set and the file could be of {shown[0]} "
                           "(disabled) or newer (strict): strict is taken; say --james-version",
                   "verifyIdentity")


def convert(scope, server, found, hooks):
    """hooks: the names in the handler chain."""
    has_auth = scope.out.get("coreHandlers") == "core" or "AuthCmdHandler" in hooks
    has_hook = "ConfigurationAuthHook" in hooks  # then the users are not asked
    addresses(scope, server, _one(found, "authorizedAddresses"), found)
    auth(scope, found, has_auth)
    node = _one(found, "verifyIdentity")
    identity(scope, node)
    _warn_of_guess(scope, server, node)
    conversion = scope.conversion
    if not scope.is_tolerant:
        conversion.needs_domains = conversion.needs_domains or server
        if has_auth and not has_hook:
            conversion.wants_users.append((server, "AUTH"))
        elif scope.out.get("verifyIdentity") != "disabled":
            conversion.wants_users.append((server, "verifyIdentity"))
        if has_auth and scope.out["auth"]["required"] is True and not has_hook:
            conversion.needs_users.append((server, "auth.required"))


def check_proxy(scope, found):
    """James believes a PROXY header from everybody: whoever claims an authorised address may relay."""
    node = _one(found, "proxyRequired")
    if node is None or scope.out.get("proxyRequired") is False:
        return
    text = ("James takes a PROXY header from everybody: name your proxies in proxyFrom, or keep "
            "others away from this port")
    scope.note(node, text, "proxyRequired")
    if not scope.out.get("authorizedAddresses"):
        return
    source = _one(found, "authorizedAddresses") or node
    claim = "OPEN RELAY: a forged PROXY header may claim one of these addresses; "
    key = "authorizedAddresses"
    if scope.arguments.keep_open_relay:
        scope.warn(source, claim + "kept (--keep-open-relay)", key)
        scope.conversion.has_open_relay = True
    else:
        scope.warn(source, claim + "dropped: write them again beside proxyFrom "
                                 "(--keep-open-relay keeps them)", key)
        scope.out[key] = []
