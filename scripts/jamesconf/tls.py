"""The tls block: attributes, keys, and what narrows the handshake."""
import os

from jamesconf import keystore, names, paths, values
from jamesconf.hookopts import secret as secret_of
from jamesconf.report import WARNING, quote
from jamesconf.versions import MAILET_LOADER
from jamesconf.yamlout import Map

ORDER = ("socketTLS", "startTLS", "privateKey", "certificates", "secret", "supportedProtocols",
         "supportedCipherSuites", "clientAuth", "truststore", "sessionTimeout")
KNOWN = ("keystore", "keystoreType", "secret", "privateKey", "certificates",
         "supportedCipherSuites", "supportedProtocols", "clientAuth", "enableOCSPCRLChecks",
         "sessionCache", "provider", "algorithm")
ATTRIBUTES = ("socketTLS", "startTLS")
PROTOCOLS = ("TLSv1.2", "TLSv1.3")
# IANA's names of the suites that mxring has: TLS 1.3, and ECDHE in TLS 1.2.
CIPHERS = ({f"TLS_{name}" for name in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384",
                                       "CHACHA20_POLY1305_SHA256")} |
           {f"TLS_ECDHE_{key}_WITH_{name}" for key in ("ECDSA", "RSA") for name in (
               "AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256",
               "AES_128_CBC_SHA256", "AES_256_CBC_SHA384", "AES_128_CBC_SHA", "AES_256_CBC_SHA")})
SESSION_MIN, SESSION_MAX = 60_000, 604_800_000  # ms: how long a session may be resumed
NO_USE = {"provider": "no James of today reads it", "algorithm": "only James 3.6 read it"}


class Files:
    """The PEM files of all keystores: each keystore is converted once."""

    def __init__(self):
        self.done = {}   # (path, secret) -> (key path, certificates path)
        self.taken = set()


def _attribute(scope, node, name):
    """One of the two switches; False when it is not there."""
    spelt = name
    if name not in node.attributes:
        spelt = next((other for other in node.attributes
                      if other.lower() == name.lower()), None)
        if spelt is None:
            return False
        node.attribute(spelt)
        element = f"{node.path()}@{spelt}"
        if not scope.arguments.lenient:
            scope.warn(node, f"James does not read this; did you mean {name}? (--lenient applies "
                             "it); ignored", "tls", element)
            return False
        scope.warn(node, f"James does not read this; applied as {name} (--lenient)", "tls", element)
    value = scope.parse(node, values.boolean, "tls", spelt)
    return False if value is None else value


def _folder(scope):
    """Where PEM files go: beside the output."""
    output = scope.arguments.output
    return os.path.dirname(os.path.abspath(output)) if output else os.getcwd()


def _pem_names(scope, path):
    files = _files(scope)
    stem = os.path.basename(path)
    for ending in (".p12", ".pfx", ".jks", ".keystore"):
        stem = stem.removesuffix(ending)
    base, number = stem, 1
    while base in files.taken:
        number += 1
        base = f"{stem}-{number}"
    files.taken.add(base)
    folder = _folder(scope)
    return (os.path.join(folder, f"{base}.key.pem"), os.path.join(folder, f"{base}.cert.pem"),
            os.path.join(folder, f"{base}.p12"))


def _files(scope):
    conversion = scope.conversion
    if not hasattr(conversion, "keystores"):
        conversion.keystores = Files()
    return conversion.keystores


def _password(scope, node):
    """(the secret of a keystore, why it is not known)."""
    if node is None:
        return "", None
    text = scope.expand(node.use(), node.text, "tls")
    if text is None:
        return None, "its secret is not known"
    if values.has_variable(text):
        found = os.path.expandvars(text.replace("${env:", "${"))
        if "${" in found:
            return None, "its secret is in a variable that is not set here"
        return found, None
    return text, None


def _extract(scope, path, password):
    """(files to write, remark) of a keystore. Raises KeystoreError."""
    data = keystore.read(path)
    kind = keystore.kind_of(data)
    if kind in ("JKS", "JCEKS"):
        raise keystore.KeystoreError(f"is of type {kind}, which only Java reads")
    if kind is None:
        raise keystore.KeystoreError("is neither JKS nor PKCS12")
    if not scope.arguments.output:
        raise keystore.KeystoreError("is turned into PEM files only with -o FILE, beside it")
    return keystore.to_pem(path, password)


def _declared_kind(scope, parts):
    """keystoreType, as James checks it."""
    node = parts.get("keystoreType", [None])[0]
    if node is None:
        return "JKS"
    kind = scope.parse(node, lambda text: values.word(text, ("JKS", "PKCS12", "JCEKS")), "tls")
    scope.note(node, "the file itself shows its type; mxring reads PEM", "tls")
    return kind or "JKS"


def _keystore(scope, out, parts):
    """privateKey and certificates from a keystore."""
    node = parts["keystore"][0]
    kind = _declared_kind(scope, parts)
    text = scope.parse(node, str, "tls")
    secret = parts.get("secret", [None])[0]
    password, reason = _password(scope, secret)
    if secret is not None:
        scope.note(secret, "opens the keystore; PEM files beside the YAML need none", "tls")
    if text is None:
        return
    for name in ("privateKey", "certificates"):
        if name in parts:
            scope.ignore(parts[name][0], "James takes the keystore instead; ignored", WARNING)
    path, exists = paths.find(text, node.file, scope.arguments.james_home)
    files = _files(scope)
    if (path, password) in files.done:
        out["privateKey"], out["certificates"] = files.done[path, password]
        scope.note(node, "the same keystore as above", "tls")
        return
    key_path, certificates_path, pkcs12 = _pem_names(scope, path)
    names_in_yaml = os.path.basename(key_path), os.path.basename(certificates_path)
    files.done[path, password] = names_in_yaml  # relative to the YAML, as mxring takes them
    out["privateKey"], out["certificates"] = names_in_yaml
    try:
        if exists is None:
            raise keystore.KeystoreError("has a variable in its path")
        if reason:
            raise keystore.KeystoreError(f"cannot be opened: {reason}")
        key, certificates, remark = _extract(scope, path, password)
    except keystore.KeystoreError as error:
        _tell_what_is_needed(scope, node, path, kind, str(error),
                             (pkcs12, key_path, certificates_path))
        return
    scope.conversion.files.append((key_path, key.encode(), 0o600))
    scope.conversion.files.append((certificates_path, certificates.encode(), 0o600))
    if remark:
        scope.warn(node, f"{quote(path)} {remark}", "tls")
    scope.note(node, f"{quote(path)} is turned into {os.path.basename(key_path)} and "
                     f"{os.path.basename(certificates_path)}", "tls")


def _tell_what_is_needed(scope, node, path, kind, why, targets):
    pkcs12, key_path, certificates_path = targets
    text = (f"{quote(path)} {why}; expected for mxring: {os.path.basename(key_path)} and "
            f"{os.path.basename(certificates_path)} in {os.path.dirname(key_path)}")
    is_java = kind != "PKCS12" and "PEM files only" not in why and "wrong" not in why
    if is_java or "only Java reads" in why:
        kind = "JCEKS" if "JCEKS" in why else "JKS"
        command = keystore.jks_commands(path, kind, pkcs12, key_path, certificates_path)
        scope.warn(node, f"{text}; with its secret in the environment variable JAMES_SECRET run: "
                         f"{command}", "tls")
    else:
        scope.warn(node, text, "tls")


def _pem(scope, out, node, parts):
    """privateKey and certificates as files that James reads, too."""
    if not ("privateKey" in parts and "certificates" in parts):
        scope.fail(node, "keystore or (privateKey and certificates) needs to get configured", "tls")
        return
    for name in ("privateKey", "certificates"):
        part = parts[name][0]
        text = scope.parse(part, str, "tls")
        if text is None:
            continue
        path, exists = paths.find(text, part.file, scope.arguments.james_home)
        out[name] = path
        if exists is False:
            scope.warn(part, f"{quote(path)} is not there: mxring check asks for it, too "
                             "(--james-home says what file://conf is relative to)", "tls")
    if "keystoreType" in parts:
        scope.ignore(parts["keystoreType"][0], "there is no keystore; ignored")
    if "secret" in parts:
        value = secret_of(scope, parts["secret"][0], "tls")
        if value is not None:
            out["secret"] = value


def _list(scope, node, child):
    """The texts of the children of one name."""
    found = scope.known_children(node.use(), (child,), (child,)).get(child, [])
    return [(part, scope.parse(part, str, "tls")) for part in found]


def _ciphers(scope, out, node):
    kept = []
    for part, text in _list(scope, node, "cipherSuite"):
        if text and text.upper() in CIPHERS:
            kept.append(text.upper())
        elif text and text.upper().startswith(("TLS_", "SSL_")):
            scope.warn(part, f"{quote(text)}: mxring has no suite of that name, or none that is "
                             "still safe; left out", "tls")
        elif text:
            scope.fail(part, f"{quote(text)} is not the name of a cipher suite", "tls")
    if kept:
        out["supportedCipherSuites"] = kept
    else:
        scope.fail(node, "no cipher suite of it is left", "tls")


def _protocols(scope, out, node):
    kept = []
    for part, text in _list(scope, node, "protocol"):
        if text in PROTOCOLS:
            kept.append(text)
        elif text in ("TLSv1.1", "TLSv1", "SSLv3", "SSLv2", "SSLv2Hello"):
            scope.warn(part, f"mxring does not speak {text}; left out", "tls")
        elif text:
            meant = names.nearest(text, PROTOCOLS)
            hint = f"; did you mean {meant}?" if meant else ""
            scope.fail(part, f"{quote(text)} is not a protocol: {', '.join(PROTOCOLS)}{hint}",
                       "tls")
    if kept:
        out["supportedProtocols"] = kept
    else:
        scope.fail(node, "no protocol of it is left", "tls")


def _truststore(scope, out, inner):
    """The trust store as one PEM file."""
    node = inner["truststore"][0]
    text = scope.parse(node, str, "tls")
    password, reason = _password(scope, inner.get("truststoreSecret", [None])[0])
    if text is None:
        return
    path, _ = paths.find(text, node.file, scope.arguments.james_home)
    target = _pem_names(scope, path)[1]
    out["truststore"] = os.path.basename(target)
    try:
        data = keystore.read(path)
        if keystore.kind_of(data) != "PKCS12":
            raise keystore.KeystoreError("is no PKCS12 file: turn it into one with keytool")
        if reason or not scope.arguments.output:
            raise keystore.KeystoreError(f"cannot be opened: {reason}" if reason else
                                         "is turned into a PEM file only with -o FILE")
        pem = keystore.trusted(path, password)
    except keystore.KeystoreError as error:
        scope.warn(node, f"{quote(path)} {error}; expected for mxring: {quote(target)}", "tls")
        return
    scope.conversion.files.append((target, pem.encode(), 0o600))
    scope.note(node, f"{quote(path)} is turned into {os.path.basename(target)}", "tls")


def _client_auth(scope, out, node):
    inner = scope.known_children(node.use(), ("truststore", "truststoreType", "truststoreSecret"))
    out["clientAuth"] = "required"
    kind = inner.get("truststoreType", [None])[0]
    if kind is not None:
        scope.parse(kind, str, "tls")
        scope.note(kind, "the file itself shows its type", "tls")
    if "truststore" in inner:
        _truststore(scope, out, inner)
    else:
        out["truststore"] = "truststore.pem"
        scope.warn(node, "without a truststore James asks Java's own; expected for mxring: "
                         "'truststore.pem', a PEM file with the authorities", "tls")
        for name in ("truststoreSecret",):
            if name in inner:
                scope.ignore(inner[name][0], "there is no truststore; ignored")


def _session_cache(scope, out, node):
    """Sessions are resumed by tickets: only their time matters."""
    inner = scope.known_children(node.use(), ("size", "timeout"))
    if "size" in inner and scope.parse(inner["size"][0], values.integer, "tls") is not None:
        scope.note(inner["size"][0], "mxring resumes sessions by tickets and keeps no cache; "
                                     "ignored", "tls")
    if "timeout" in inner:
        part = inner["timeout"][0]
        ms = scope.parse(part, values.milliseconds, "tls")
        if isinstance(ms, int) and ms and not SESSION_MIN <= ms <= SESSION_MAX:
            ms = min(max(ms, SESSION_MIN), SESSION_MAX)
            scope.warn(part, f"mxring takes 60s to 1w: {values.duration_text(ms)} is used", "tls")
        if ms is not None:
            out["sessionTimeout"] = values.duration_text(ms) if isinstance(ms, int) else ms
    if not inner:
        scope.note(node, "nothing is set in it; ignored", "tls")


def _rest(scope, out, parts):
    table = {"supportedCipherSuites": _ciphers, "supportedProtocols": _protocols,
             "clientAuth": _client_auth, "sessionCache": _session_cache}
    for name, apply in table.items():
        if name in parts:
            apply(scope, out, parts[name][0])
    if "enableOCSPCRLChecks" in parts:
        node = parts["enableOCSPCRLChecks"][0]
        if scope.parse(node, values.boolean, "tls"):
            scope.warn(node, "mxring does not ask whether certificates of clients are revoked, "
                             "but reads lists (revocationLists); left out", "tls")
        else:
            scope.note(node, "off, as in mxring", "tls")
    for name, why in NO_USE.items():
        if name in parts:
            scope.ignore(parts[name][0], f"{why}; ignored")


def _lmtp(scope, node, start_tls, chains):
    """STARTTLS in LMTP came late, and not to both packages. False: James does not offer it."""
    package = chains[0].attributes.get("coreHandlersPackage", "").strip() if chains else ""
    if start_tls is not False and package == MAILET_LOADER:
        scope.warn(node, "MailetContainerCmdHandlerLoader has no STARTTLS command: switched off",
                   "tls")
        return False
    if start_tls is not False:
        scope.note(node, "James up to 3.9 has no STARTTLS in LMTP, newer ones and mxring have",
                   "tls")
    return start_tls


def convert(scope, node, kind, chains):
    if node is None:
        return
    socket_tls, start_tls = (_attribute(scope, node.use(), name) for name in ATTRIBUTES)
    if socket_tls is True and start_tls is True:
        scope.fail(node, "startTLS is only supported when using plain sockets", "tls")
        return
    if socket_tls is False and start_tls is False:
        shown = (f"{name} is {'false' if name in node.attributes else 'not set'}"
                 for name in ATTRIBUTES)
        scope.note(node, f"off: {', '.join(shown)}")
        for child in node.children:
            scope.ignore(child, "not read: socketTLS and startTLS are both false")
        return
    if kind == "lmtpservers":
        start_tls = _lmtp(scope, node, start_tls, chains)
    if socket_tls is False and start_tls is False:
        for child in node.children:
            scope.ignore(child, "not read: there is no TLS")
        return
    out = Map(ORDER)
    scope.out["tls"] = out
    scope.out.say("tls", "socketTLS: TLS from the first octet on. startTLS: after STARTTLS.")
    for name, value in zip(ATTRIBUTES, (socket_tls, start_tls)):
        if value is not False or name in node.attributes:
            out[name] = value
    parts = scope.known_children(node, KNOWN)
    if "keystore" in parts:
        _keystore(scope, out, parts)
    else:
        _pem(scope, out, node, parts)
    _rest(scope, out, parts)
