"""Paths as James writes them: file://conf/x is relative to its home."""
import os
import re

from jamesconf import values


def _homes(xml, home):
    """Where James may live, the likeliest first: its XML is in the folder conf."""
    if home:
        return [home]
    folder = os.path.dirname(os.path.abspath(xml))
    above = os.path.dirname(folder)
    return [above, folder] if os.path.basename(folder) == "conf" else [folder, above]


def find(text, xml, home):
    """(path, exists) of a file that James's configuration names. A path with a variable in it is
    not looked for: exists is None."""
    match = re.match(r"(?:file:(?://)?|(classpath:(?://)?))?(.*)\Z", text, re.S)
    name = match[2]
    if values.has_variable(name):
        return name, None
    if match[1]:
        name = os.path.join("conf", name.lstrip("/"))
    if os.path.isabs(name):
        return os.path.normpath(name), os.path.exists(name)
    candidates = [os.path.normpath(os.path.join(folder, name)) for folder in _homes(xml, home)]
    for candidate in candidates:
        if os.path.exists(candidate):
            return candidate, True
    return candidates[0], False
