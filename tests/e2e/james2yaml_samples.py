"""Real files convert, and nothing in them vanishes: it is in the YAML or in the report."""
import copy
import os
import re
from collections import Counter
from xml.etree import ElementTree
from xml.parsers import expat

from lib_james2yaml import Folder, accepted, inside, samples
from lib_mxring import equal, run

# file -> exit status, exit status with --skip-unknown
STATUS = {
    "configured-auth-smtpserver.xml": (2, 2),
    "custom-hooks-smtpserver.xml": (1, 2),
    "distributed-smtpserver.xml": (2, 2),
    "dsn-lmtpserver.xml": (2, 2),
    "proxy-smtpserver.xml": (2, 2),
    "spring-smtpserver.xml": (2, 2),
}
# what an element of a server is called in the YAML; of a map, the key in it
KEYS = {
    "jmxName": "name", "bind": "bind", "connectionBacklog": "connectionBacklog",
    "connectiontimeout": "connectionTimeout", "connectionLimit": "connectionLimit",
    "connectionLimitPerIP": "connectionLimitPerIP", "authorizedAddresses": "authorizedAddresses",
    "verifyIdentity": "verifyIdentity", "maxmessagesize": "maxMessageSize",
    "proxyRequired": "proxyRequired", "gracefulShutdown": "gracefulShutdown",
    "addressBracketsEnforcement": "addressBracketsEnforcement", "smtpGreeting": "smtpGreeting",
    "disabledFeatures": "disabledFeatures", "announce": "announce", "required": "required",
    "requireSSL": "requireSSL", "plainAuthEnabled": "plainAuthEnabled",
    "authRequired": "announce",
}
WORDS = {"verifyIdentity": {"true": "strict", "false": "disabled"},
         "authRequired": {"true": "forUnauthorizedAddresses", "false": "never"}}
BOXES = ("auth", "handlerchain")  # their children are looked at one by one


class Element(ElementTree.Element):
    """One that can hold its line."""


def tree_of(path):
    parser = expat.ParserCreate()
    builder = ElementTree.TreeBuilder(element_factory=Element)

    def start(tag, attributes):
        builder.start(tag, attributes).line = parser.CurrentLineNumber
    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    with open(path, "rb") as file:
        parser.Parse(file.read(), True)
    return builder.close()


def servers_of(root):
    return [root] if root.tag.endswith("server") else list(root)


def handler_is_there(element, server):
    name = element.get("class").rpartition(".")[2]
    found = [entry if isinstance(entry, str) else next(iter(entry))
             for entry in server["handlerchain"]]
    if name not in found:
        return False
    options = server["handlerchain"][found.index(name)]
    texts = [part.text.strip() for part in element.iter() if part.text and part.text.strip()]
    return all(text in str(options) for text in texts)


def is_there(element, server):
    """Is this element, with its value, in the YAML?"""
    key = KEYS.get(element.tag)
    found = {**server.get("auth", {}), **server}
    text = (element.text or "").strip()
    text = WORDS.get(element.tag, {}).get(text, text)
    return key is not None and key in found and text.lower() in str(found[key]).lower()


def check_element(element, server, reported, where):
    if element.line in reported and any(element.tag in name for name in reported[element.line]):
        return
    if element.tag in BOXES:
        for child in element:
            check_element(child, server, reported, where)
    elif element.tag == "handler":
        assert handler_is_there(element, server), f"{where}:{element.line}: {element.get('class')}"
    elif element.tag == "tls":
        for child in element:
            check_element(child, server, reported, where)
        for name, value in element.attrib.items():
            equal(str(server["tls"][name]).lower(), value, f"{where}:{element.line}: {name}")
    elif element.tag in ("privateKey", "certificates"):
        assert element.text.rpartition("/")[2] in server["tls"][element.tag], where
    else:
        assert is_there(element, server), f"{where}:{element.line}: {element.tag} is lost"


def test_status_and_check():
    for path in samples():
        name = os.path.basename(path)
        strict, skipping = STATUS[name]
        result = inside(path)
        equal(result.status, strict, f"{name}\n{result.errors}")
        if strict == 1:
            equal(result.text, "", name)
        result = inside(path, "--skip-unknown")
        equal(result.status, skipping, f"{name}\n{result.errors}")
        accepted(result.text)


def test_every_element_is_somewhere():
    for path in samples():
        result = inside(path, "--skip-unknown")
        reported = {}
        for line, element, _, _, _ in result.entries:
            reported.setdefault(line, []).append(element)
        root = tree_of(path)
        kind = "lmtpservers" if root.tag.startswith("lmtp") else "smtpservers"
        found = servers_of(root)
        equal(len(result.data[kind]), len(found), path)
        for element, server in zip(found, result.data[kind]):
            assert len(element) > 5, path
            for child in element:
                check_element(child, server, reported, os.path.basename(path))


def outcome(root, folder):
    """Everything the converter says of a tree, but for the lines."""
    path = folder.write("conf/smtpserver.xml", ElementTree.tostring(root))
    result = inside(path, "--skip-unknown")
    said = Counter((element, level, re.sub(r"line \d+", "", text))
                   for _, element, level, text, _ in result.entries)
    return result.status, re.sub(r"line \d+|xml:\d+", "", result.text), said


def variants(root):
    """The tree without each of its elements, and without each of its attributes."""
    for number, element in enumerate(root.iter()):
        changed = copy.deepcopy(root)
        same = list(changed.iter())[number]
        if element is not root:
            parent = next(node for node in changed.iter() if same in list(node))
            parent.remove(same)
            yield element.tag, changed
        for name in element.attrib:
            changed = copy.deepcopy(root)
            del list(changed.iter())[number].attrib[name]
            yield f"{element.tag}@{name}", changed


def test_whatever_is_taken_out_is_missed():
    """An element that makes no difference, neither in the YAML nor in the report, was dropped."""
    count = 0
    for path in samples():
        root = ElementTree.parse(path).getroot()
        with Folder() as folder:
            whole = outcome(root, folder)
            for what, changed in variants(root):
                count += 1
                assert outcome(changed, folder) != whole, f"{path}: {what} is lost"
    print(f"{count} elements and attributes")
    assert count > 250, count


def test_no_secret_in_a_report():
    for path in samples():
        result = inside(path, "--skip-unknown", "--lenient")
        for secret in ("james72laBalle", "yoursecret", "secret123456", "here_to_ease",
                       "secret234567"):
            assert secret not in result.errors, path


run(globals())
