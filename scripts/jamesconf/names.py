"""The nearest known name of a misspelt one."""
import difflib

# What documentation and old samples print, and James never read.
KNOWN_MISSPELT = {
    "connectionTimeout": "connectiontimeout",
    "handler.connectionTimeout": "connectiontimeout",
    "connectBacklog": "connectionBacklog",
    "handler.connectionLimit": "connectionLimit",
    "connectPerIp": "connectionLimitPerIP",
    "handler.authRequired": "authRequired",
    "handler.helloName": "helloName",
    "heloName": "helloName",
    "maxMessageSize": "maxmessagesize",
    "forceCLRF": "forceCRLF",
}


def _plain(name):
    return "".join(c for c in name.lower() if c.isalnum())


def nearest(name, known):
    """The known name that was probably meant, or None."""
    known = list(known)
    if KNOWN_MISSPELT.get(name) in known:
        return KNOWN_MISSPELT[name]
    tail = name.rpartition(".")[2]
    for candidate in known:
        if _plain(candidate) in (_plain(name), _plain(tail)):
            return candidate
    lowered = {candidate.lower(): candidate for candidate in known}
    for text in (name.lower(), tail.lower()):
        found = difflib.get_close_matches(text[:80], lowered, n=1, cutoff=0.75)
        if found:
            return lowered[found[0]]
    return None
