"""James's scalars. Each function returns what the YAML says, or raises ValueError with a text."""
import ipaddress
import re

INT_MAX = 2**31 - 1
SIZE_MAX = 1 << 40          # octets; the largest maxMessageSize of mxring
REFERENCE = re.compile(r"\$\{([^}]*)\}")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
ENV_NAME_MAX = 127          # octets of a variable's name

# The local part of an address that mxring takes as it stands: a dot-atom of ASCII.
ATOM = r"[!#-'*+\-/0-9=?A-Z^-`a-z{-~]+"
LOCAL_PART = re.compile(rf"{ATOM}(\.{ATOM})*\Z")

TRUE = {"true", "yes", "on", "y", "t"}
FALSE = {"false", "no", "off", "n", "f"}

# James's units of time, in milliseconds
DURATIONS = {
    "ms": 1, "msec": 1, "msecs": 1,
    "s": 1000, "sec": 1000, "secs": 1000, "second": 1000, "seconds": 1000,
    "m": 60_000, "min": 60_000, "mins": 60_000, "minute": 60_000, "minutes": 60_000,
    "h": 3_600_000, "hour": 3_600_000, "hours": 3_600_000,
    "d": 86_400_000, "day": 86_400_000, "days": 86_400_000,
    "w": 604_800_000, "week": 604_800_000, "weeks": 604_800_000,
    "month": 2_592_000_000, "months": 2_592_000_000,
    "y": 31_536_000_000, "year": 31_536_000_000, "years": 31_536_000_000,
}


def has_variable(value):
    """Is it known only when mxring starts?"""
    return isinstance(value, str) and "${env:" in value


def boolean(text):
    lowered = text.lower()
    if lowered in TRUE:
        return True
    if lowered in FALSE:
        return False
    raise ValueError("must be true or false (yes, no, on, off), not {value}")


def integer(text, low=-INT_MAX - 1, high=INT_MAX):
    match = re.fullmatch(r"([+-]?)(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,18})", text)
    if not match:
        raise ValueError("must be a whole number, not {value}")
    number = int(match[2], 16 if match[2][:2].lower() == "0x" else 10)
    number = -number if match[1] == "-" else number
    if not low <= number <= high:
        raise ValueError(f"must be between {low} and {high}, not {{value}}")
    return number


def octets(text, bare):
    """A size as octets; None: no limit. bare: what a number without a unit counts."""
    if text.lower() in ("unlimited", "unknown"):
        return None
    match = re.fullmatch(r"(-?)([0-9]{1,18})([BbKkMmGg]?)", text)
    if not match:
        raise ValueError("must be a size such as 64K or 10M (one letter B, K, M or G), not {value}")
    unit = {"": bare, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[match[3].lower()]
    number = int(match[2]) * unit
    return None if match[1] or number == 0 else number


def size_text(number):
    """With the largest unit that keeps it exact."""
    for letter, unit in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if number % unit == 0:
            return f"{number // unit}{letter}"
    return f"{number}B"


def milliseconds(text, bare="ms"):
    match = re.fullmatch(r"([0-9]{1,12})\s*([a-z]*)", text.lower())
    if not match or (match[2] or bare) not in DURATIONS:
        raise ValueError("must be a duration such as 10s, 5m or 1 hour, not {value}")
    return int(match[1]) * DURATIONS[match[2] or bare]


def duration_text(ms):
    return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms}ms"


def printable(text, longest):
    """Text of a reply or a name."""
    if not all(" " <= c <= "~" for c in text):
        raise ValueError("must be printable ASCII on one line")
    if not 1 <= len(text) <= longest:
        raise ValueError(f"must have 1 to {longest} characters")
    return text


def host(text):
    """A host name as mxring takes it (RFC 1123)."""
    labels = text.split(".")
    fine = len(text) <= 253 and not labels[-1].isdigit() and all(
        re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", label) for label in labels)
    if not fine:
        raise ValueError("must be a host name (letters, digits, hyphens and dots), not {value}")
    return text


def _mail_domain(text):
    """The domain of an address: its last label begins with a letter, or it is an IPv4 address."""
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        if text.rpartition(".")[2][:1].isdigit():
            raise ValueError("has no domain that mail can go to") from None
        return host(text)


def mailbox(text):
    """An address, local@domain, as mxring takes it in MAIL, in RCPT and in its files."""
    local, at, domain = text.rpartition("@")
    if not at or not LOCAL_PART.match(local):
        raise ValueError("must be an address, user@domain, not {value}")
    _mail_domain(domain)
    return text


def word(text, words):
    """One of the words, any case."""
    for candidate in words:
        if candidate.lower() == text.lower():
            return candidate
    raise ValueError(f"must be one of {', '.join(words)}, not {{value}}")


def system_property(name):
    """The environment variable that stands for a system property."""
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def interpolate(text):
    """James's ${env:..} and ${sys:..} as mxring's. Returns the text and remarks about changes.

    Raises ValueError for what cannot be said in mxring."""
    remarks = []

    def replace(match):
        prefix, colon, name = match[1].partition(":")
        if prefix not in ("env", "sys") or not colon:
            raise ValueError(f"the reference ${{{match[1][:40]}}} cannot be converted: only env "
                             "and sys can; write its value")
        variable, separator, _ = name.partition(":-")
        if separator:
            remarks.append(f"the default of ${{{prefix}:{variable}}} is lost: the variable must "
                           "be set")
        if prefix == "sys":
            remarks.append(f"the system property {variable} becomes the environment variable "
                           f"{system_property(variable)}: set it")
            variable = system_property(variable)
        if not ENV_NAME.match(variable) or len(variable) > ENV_NAME_MAX:
            raise ValueError("the name of the variable in the reference "
                             f"${{{match[1][:40]}}} is not one that a shell could set")
        return "${env:" + variable + "}"

    result = REFERENCE.sub(replace, text)
    if "${" in REFERENCE.sub("", text):
        raise ValueError("${ without } cannot be written for mxring")
    return result, remarks
