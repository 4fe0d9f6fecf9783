"""Networks as James writes them, as networks that mxring takes."""
import ipaddress
import re
import socket

# Where no client on the Internet comes from: RFC 6890, RFC 4291 2.4. As config/check.c.
NOT_PUBLIC = [ipaddress.ip_network(text) for text in (
    "0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
    "224.0.0.0/3", "::/3", "4000::/2", "8000::/1")]
PRIVATE_6 = [ipaddress.ip_network(text) for text in ("fc00::/7", "fe80::/10")]


def resolve(name):
    """The IPv4 address of a name, else its IPv6 address, else None. RFC 6761: two names need no
    question."""
    lowered = name.lower().rstrip(".")
    if lowered == "localhost" or lowered.endswith(".localhost"):
        return ipaddress.ip_address("127.0.0.1")
    if lowered == "invalid" or lowered.endswith(".invalid"):
        return None
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None
    addresses = [row[4][0].partition("%")[0] for row in found]
    for address in sorted(addresses, key=lambda text: ":" in text):
        return ipaddress.ip_address(address)
    return None


class Item:
    """One item of a list. network is None when it is dropped; remarks are warnings."""

    def __init__(self, network, remarks=()):
        self.network = network
        self.remarks = list(remarks)


def _prefix_of_mask(text):
    try:
        return ipaddress.ip_network(f"0.0.0.0/{text}").prefixlen
    except ValueError:
        raise ValueError(f"'{text[:40]}' is neither a prefix length nor a mask of leading ones") \
            from None


def _parse_6(text):
    address, separator, bits = re.fullmatch(r"([^/%]*)([/%]?)(.*)", text).groups()
    if "*" in text:
        raise ValueError("there are no wildcards in IPv6")
    ip = ipaddress.IPv6Address(address)
    if separator and not re.fullmatch(r"[0-9]{1,3}", bits):
        raise ValueError("bad prefix length")
    length = int(bits) if separator else 128
    if length > 128:
        raise ValueError("the prefix length is above 128")
    if ip.ipv4_mapped is not None:
        if length < 96:
            raise ValueError("an IPv4-mapped network needs a prefix of 96 or more")
        network = ipaddress.ip_network((ip.ipv4_mapped, length - 96), strict=False)
        return Item(network, [f"{text} is the IPv4 network {network}"])
    network = ipaddress.ip_network((ip, length), strict=False)
    if length == 48:
        return Item(network)
    return Item(network, [
        f"{text}: James computes IPv6 prefixes wrongly (/64 acts as /56, /128 as /64, /32 as /48); "
        f"mxring takes exactly {network}"])


def _parse_4(text):
    wildcard = re.fullmatch(r"((?:[0-9]{1,3}\.){0,3})([0-9]{0,3})\*", text)
    if wildcard:
        octets = [int(part) for part in wildcard[1].split(".") if part]
        if max(octets, default=0) > 255:
            raise ValueError("an octet is above 255")
        remarks = []
        if wildcard[2]:
            remarks.append(f"{text} is everything behind the last dot for James: {wildcard[1]}*")
        address = ".".join(str(part) for part in octets + [0] * (4 - len(octets)))
        return Item(ipaddress.ip_network(f"{address}/{8 * len(octets)}"), remarks)
    name, slash, mask = text.partition("/")
    length = 32
    if slash:
        length = int(mask) if re.fullmatch(r"[0-9]{1,2}", mask) else _prefix_of_mask(mask)
        if length > 32:
            raise ValueError("the prefix length is above 32")
    if re.fullmatch(r"[0-9.]+", name):
        return Item(ipaddress.ip_network((ipaddress.IPv4Address(name), length), strict=False))
    return _parse_name(text, name, length, bool(slash))


def _parse_name(text, name, length, has_mask):
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", name):
        raise ValueError("neither an address, a network nor a name")
    ip = resolve(name)
    if ip is None:
        return Item(None, [f"{text}: the name is not known here; dropped, as James does"])
    if ip.version == 6 and has_mask:
        return Item(None, [f"{text}: the name has an IPv6 address only; dropped"])
    network = ipaddress.ip_network((ip, length if ip.version == 4 else 128), strict=False)
    if name.lower() == "localhost":
        return Item(network)
    return Item(network, [f"{text}: mxring looks up no names; it was {ip} at the conversion"])


def parse(text):
    """One item. Raises ValueError with the reason."""
    try:
        return _parse_6(text) if ":" in text else _parse_4(text)
    except ipaddress.AddressValueError as error:
        raise ValueError(str(error)) from None


def split(text, separators=", "):
    """The items of a list; a line end separates like a blank."""
    text = re.sub(r"\s", " ", text)
    return [item.strip() for item in re.split(f"[{separators}]+", text) if item.strip()]


def is_open(network):
    """Wider than any one owner's network: mxring's rule."""
    if network.version == 4:
        return network.prefixlen < 8
    return network.prefixlen < 16 and not any(network.subnet_of(own) for own in PRIVATE_6)


def cover_the_world(networks):
    """Do they hold every public address of a family together?"""
    for version in (4, 6):
        own = [network for network in networks if network.version == version]
        if not own:
            continue
        rest = [network for network in NOT_PUBLIC if network.version == version]
        collapsed = list(ipaddress.collapse_addresses(own + rest))
        if len(collapsed) == 1 and collapsed[0].prefixlen == 0:
            return True
    return False
