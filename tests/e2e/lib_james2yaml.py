"""Helpers of the converter's tests: run it in this process or as a program, read its YAML back."""
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile

from lib_mxring import SLOW, SOURCE, equal, mxring, skip

sys.dont_write_bytecode = True
sys.path.insert(0, f"{SOURCE}/scripts")

from jamesconf import cli, hooks  # noqa: E402 - the path comes first

PROGRAM = f"{SOURCE}/scripts/james2yaml.py"
SAMPLES = f"{SOURCE}/../shared/spec/samples"
CURRENT = "--james-version=current"
LINE = re.compile(r"(.*?):(\d+): (.*?): (note|warning|error): (.*)")
SUMMARY = re.compile(r"james2yaml: .*")
# Of the tests' files.
VARIABLES = {"ADDRESS": "127.0.0.1", "SIZE": "10", "JAMES_TIME_OUT": "5"}


def _later_hooks():
    """The handlers that the converter writes and mxring does not have yet."""
    with open(f"{SOURCE}/docs/HANDLERS.md", encoding="utf-8") as file:
        there = set(re.findall(r"^## (\w+)$", file.read(), re.M))
    assert there, "docs/HANDLERS.md"
    return sorted({*hooks.HOOKS, *hooks.WITH_AUTH} - there)


# What `mxring check` may say about a converted file: features that come later.
LATER = (
    rf"hook '({'|'.join(_later_hooks())})' is not available in this version",
)


class Result:
    """status, the YAML as text and as data, the report's lines and what is beside them."""

    def __init__(self, status, text, errors):
        self.status, self.text, self.errors = status, text, errors
        self.entries, self.other = [], []
        for line in errors.splitlines():
            match = LINE.fullmatch(line)
            if match:
                self.entries.append((int(match[2]), match[3], match[4], match[5], match[1]))
            else:
                self.other.append(line)
        self.data = parse(text) if text.startswith("#") else None

    def levels(self):
        return {level for _, _, level, _, _ in self.entries}

    def server(self, kind="smtpservers", number=0):
        return self.data[kind][number]

    def says(self, *words, level=None):
        """Is there one line of the report with all these words?"""
        for line, element, found, text, _ in self.entries:
            whole = f"{line}: {element}: {text}"
            if level in (None, found) and all(word in whole for word in words):
                return True
        return False


class Folder(tempfile.TemporaryDirectory):
    """A folder for a test's files: folder.write(name, text) gives the path."""

    def __init__(self):
        super().__init__(prefix="james2yaml-")

    def __enter__(self):
        super().__enter__()
        return self

    def path(self, name):
        return os.path.join(self.name, name)

    def write(self, name, data):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return path


def program(*words, **how):
    """The converter as its users run it."""
    done = subprocess.run([sys.executable, PROGRAM, *words], capture_output=True, check=False,
                          timeout=SLOW * 3, stdin=subprocess.DEVNULL, **how)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def inside(*words):
    """The same in this process, some hundred times a second. An exception goes through."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    errors = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            status = cli.main(list(words))
        except SystemExit as end:
            status = end.code
    out.flush()
    return Result(status, out.buffer.getvalue().decode(), errors.getvalue())


def convert(xml, *words, name="smtpserver.xml"):
    """Convert one file with this text."""
    with Folder() as folder:
        return inside(folder.write(name, xml), *words)


def smtp(inner="", attributes="", chain="<handlerchain/>", name="smtpserver"):
    """A file with one server; inner begins in line 3."""
    return f"<{name}s>\n<{name}{attributes}>\n{inner}\n{chain}\n</{name}>\n</{name}s>\n"


def lmtp(inner="", attributes="", chain="<handlerchain/>"):
    return smtp(inner, attributes, chain, "lmtpserver")


def handlers(*inner, attributes=""):
    """The handler chain, the first handler in line 4 when nothing stands before."""
    return f"<handlerchain{attributes}>" + "\n".join(inner) + "</handlerchain>"


def accepted(text, *warnings):
    """`mxring check` takes the YAML, but for what this version does not have yet. It must warn of
    these; the files that the converter cannot make are there."""
    with Folder() as folder:
        path = folder.write("mx.yaml", text)
        folder.write("users", "bob@example.com:{PLAIN}x\n")
        os.chmod(folder.path("users"), 0o600)
        for key, name in re.findall(
                r"^ *(privateKey|certificates|truststore): \"?([^/\"\n][^\"\n]*)", text, re.M):
            source = {"privateKey": "rsa.key", "certificates": "rsa.pem", "truststore": "ca.pem"}[key]
            with open(f"{SOURCE}/tests/tls/{source}", encoding="ascii") as file:
                folder.write(name, file.read())
        done = mxring("check", "-c", path, env={**os.environ, **VARIABLES})
        left = [line for line in done.stderr.splitlines()
                if ": warning: " not in line and
                not any(re.search(pattern, line) for pattern in LATER)]
        equal(left, [], f"mxring check\n{text}")
        for pattern in warnings:
            assert re.search(pattern, done.stderr), f"{pattern}\n{done.stderr}"


def samples():
    """The paths of real files, or the test is skipped."""
    if not os.path.isdir(SAMPLES):
        skip("there are no sample files")
    found = sorted(os.path.join(SAMPLES, name) for name in os.listdir(SAMPLES))
    assert found, SAMPLES
    return found


# --- the YAML that the converter writes, read by other rules than it was written by ----------

class _Reader:
    def __init__(self, text):
        self.lines = []
        for line in text.splitlines():
            assert "\t" not in line, line
            if line.strip() and not line.lstrip().startswith("#"):
                self.lines.append((len(line) - len(line.lstrip()), line.strip()))
        self.at = 0

    def peek(self):
        return self.lines[self.at] if self.at < len(self.lines) else (-1, "")

    def block(self, indent):
        return self.items(indent) if self.peek()[1].startswith("- ") else self.pairs(indent)

    def items(self, indent):
        found = []
        while self.peek()[0] == indent and self.peek()[1].startswith("- "):
            rest = self.peek()[1][2:]
            if re.match(r"[\w.]+:( |\Z)", rest):
                self.lines[self.at] = (indent + 2, rest)
                found.append(self.pairs(indent + 2))
            else:
                found.append(flow(rest))
                self.at += 1
        return found

    def pairs(self, indent):
        found = {}
        while self.peek()[0] == indent and not self.peek()[1].startswith("- "):
            key, colon, rest = self.peek()[1].partition(":")
            assert colon and re.fullmatch(r"[\w.]+", key), self.peek()
            assert key not in found, key
            self.at += 1
            inner = self.peek()[0]
            found[key] = flow(rest.strip()) if rest else self.block(inner)
            assert rest or inner > indent, key
        return found


def flow(text):
    """A scalar, or a list of scalars in brackets."""
    if text == "{}":
        return {}
    if not text.startswith("["):
        value, end = _scalar(text)
        assert end == len(text), text
        return value
    found, at = [], 1
    while text[at] != "]":
        value, used = _scalar(text[at:], ",]")
        found.append(value)
        at += used
        if text[at] == ",":
            at += 2
    assert at == len(text) - 1, text
    return found


def _scalar(text, ends=""):
    if not text.startswith('"'):
        end = next((i for i, c in enumerate(text) if c in ends), len(text))
        value = text[:end]
        assert re.fullmatch(r"[\w/.@+-]+", value, re.A), text
        return {"true": True, "false": False}.get(value, value), end
    end = re.match(r'"(\\.|[^"\\])*"', text).end()

    def unescape(match):
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) > 1 else code
    inner = text[1:end - 1]
    return re.sub(r"\\(x..|u.{4}|U.{8}|.)", unescape, inner), end


def parse(text):
    reader = _Reader(text)
    data = reader.pairs(0)
    assert reader.at == len(reader.lines), reader.peek()
    return data
