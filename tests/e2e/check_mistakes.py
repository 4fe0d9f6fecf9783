"""Hundreds of planted mistakes: each is found at its line and column, with what would be right.

Most are made from the rows of the generated reference (mxring check --reference), so that a new
option is tested without a word here; the rest is a table.
"""
import os
import re
import signal
import stat

from lib_mxring import equal, mxring, run, serve, write_config

HEAD = "domains: [example.com]\nspool: {durability: none}\n"
SERVER = "smtpservers:\n  - handlerchain: []\n    bind: 127.0.0.1:2525\n"


# ---- rows of the reference

class Row:
    def __init__(self, section, cells):
        self.section = section
        self.key = re.match(r"`(\w+)`", cells[0])[1]
        self.only = "LMTP" if "(LMTP)" in cells[0] else "SMTP"
        self.type, self.unit, self.range = cells[1:4]
        self.words = [] if "..." in self.range else self.range.split(", ")

    def place(self, text):
        """A file with `text` in the row's place: (file, line, column of text)."""
        if self.section == "Top level":
            return text + "\n" + HEAD.replace("domains: [example.com]\n", ""), 1, 1
        if self.section.startswith("Entries"):
            servers = SERVER.replace("smtp", "lmtp") if self.only == "LMTP" else SERVER
            if self.key in ("handlerchain", "bind"):
                servers = re.sub(rf"{self.key}: .*\n", "name: x\n", servers)
            return HEAD + servers + "    " + text + "\n", HEAD.count("\n") + 4, 5
        if " of an entry of " in self.section:  # a map in it
            name = self.section.split("`")[1]
            text = f"{name}:\n      {text}\n"
            return HEAD + SERVER + "    " + text, HEAD.count("\n") + 5, 7
        name = self.section.strip("`").split("`")[-1].split(".")[-1]
        head = "domains: [example.com]\n" + ("" if name == "spool" else "spool: {durability: none}\n")
        return head + f"{name}:\n  {text}\n", head.count("\n") + 2, 3


def rows():
    section, found = None, []
    for line in mxring("check", "--reference").stdout.splitlines():
        if line.startswith("## "):
            section = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) == 8 and section != "Hooks":
            found.append(Row(section, cells))
    assert len(found) > 50, "the table has another form"
    return found


# ---- one mistake

FAILED = []


def problems(text, path):
    pattern = rf"^{re.escape(path)}:(\d+):(\d+): (?!warning)(.*)$"
    return [(int(line), int(column), words) for line, column, words in re.findall(pattern, text, re.M)]


def plant(name, text, line, column, *words):
    """The file has an error at this place that says all these words; serve refuses it, too."""
    path = write_config("")
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    result = mxring("check", "-c", path)
    found = problems(result.stderr, path)
    good = result.returncode == 1 and any(
        (at, col) == (line, column) and all(word in said for word in words)
        for at, col, said in found)
    if not good:
        FAILED.append(f"{name}: wanted {line}:{column} {words}, got {result.returncode} {found or result.stderr}"
                      f"\n{text}")
    os.unlink(path)


def check_all(counts):
    print(f"{counts} mistakes")
    missed, FAILED[:] = FAILED[:], []
    assert not missed, f"{len(missed)} were not found:\n" + "\n".join(missed[:20])


# ---- from the rows

def misspelt(key):
    return [key[:2] + key[3:], key + "s" if not key.endswith("s") else key + "x", key.upper()]


def test_misspelt_keys():
    count, every = 0, {row.key for row in rows()}
    for row in rows():
        for word in misspelt(row.key):
            if word in every or word == row.key:
                continue
            text, line, column = row.place(f"{word}: 1")
            plant(f"{row.section} {word}", text, line, column, f"unknown key '{word}'",
                  "did you mean '" if len(word) > 3 else "")
            count += 1
    check_all(count)


def test_duplicates():
    count = 0
    for row in rows():
        text, line, column = row.place(f"{row.key}:\n" + " " * (row.place('')[2] - 1) + f"{row.key}:")
        plant(f"twice {row.key}", text, line + 1, column, f"duplicate key '{row.key}'", str(line))
        count += 1
    check_all(count)


def test_wrong_types():
    count = 0
    for row in rows():
        at = len(row.key) + 2
        if row.type == "map":
            value, words = "x", ["must be a map"]
        elif row.type == "list of maps":
            value, words = "x", ["must be a list of maps"]
        elif row.type.startswith("list"):
            value, words = "{a: b}", ["must be a list"]
        else:
            value, words = "[a, b]", ["must be a single value, not a list"]
        text, line, column = row.place(f"{row.key}: {value}")
        plant(f"type of {row.key}", text, line, column + at, row.key, *words)
        count += 1
        if not row.type.startswith(("list", "map")):
            text, line, column = row.place(f"{row.key}: {{a: b}}")
            plant(f"map for {row.key}", text, line, column + at, "must be a single value, not a map")
            count += 1
    check_all(count)


def test_wrong_words():
    count = 0
    for row in rows():
        at = len(row.key) + 2
        if row.type == "boolean":
            words = ["must be true or false", "'maybe'"]
        elif row.type == "word":
            words = ["must be one of", *row.words, "'maybe'"]
        elif row.type in ("number", "size", "duration"):
            words = ["must be", "'maybe'"]
        elif row.type == "list of words":
            words = ["may hold", *row.words, "'maybe'"]
        else:
            continue
        text, line, column = row.place(f"{row.key}: maybe")
        plant(f"word of {row.key}", text, line, column + at, row.key, *words)
        count += 1
    check_all(count)


def test_ranges_and_units():
    count = 0
    for row in rows():
        if row.type not in ("number", "size", "duration"):
            continue
        at = len(row.key) + 2
        low, high = re.match(r"([^. ]+)\.\.([^, ]+)", row.range).groups()
        for value in ("-1", "99999999999999999999", "1.5", "10 KB", "5 parsecs", "0x10"):
            text, line, column = row.place(f"{row.key}: {value}")
            words = [low, high] if value == "-1" else ["must be"]
            plant(f"{row.key} {value}", text, line, column + at, row.key, *words)
            count += 1
    check_all(count)


def test_no_value():
    count = 0
    for row in rows():
        if row.type.startswith(("map", "list")):
            continue
        text, line, column = row.place(f"{row.key}:")
        plant(f"nothing for {row.key}", text, line, column + len(row.key) + 1, "has no value")
        count += 1
    check_all(count)


# ---- the table

def test_yaml():
    """What is wrong with the file as a text."""
    table = [
        ("tab", "engine:\n\tworkers: 2\n", 2, 1, ["a tab", "blanks"]),
        ("tab behind an umlaut", "# \u00e4\u00f6\nengine: # \u00fc\n\tworkers: 2\n", 3, 1, ["a tab"]),
        ("tab behind a key", HEAD + SERVER + "   \tname: x\n", 6, 4, []),
        ("bad UTF-8", b"domains: [a\xff.example]\n", 1, 12, ["UTF-8"]),
        ("bad UTF-8 in line 2", b"# \xc3\xa4\ndomains: [\xe4]\n", 2, 12, ["UTF-8"]),
        ("control character", "domains: [a\x01b]\n", 1, 12, ["control"]),
        ("UTF-16", "domains: [a]\n".encode("utf-16"), 1, 1, []),
        ("open bracket", "domains: [a.example\nlog: {}\n", 2, 4, []),
        ("open quote", 'domains: "a.example\n', 2, 1, ["quoted"]),
        ("no colon", "domains\n", 1, 1, ["map"]),
        ("a list", "- domains\n", 1, 1, ["map"]),
        ("two documents", HEAD + "---\nlog: {}\n", 3, 1, ["one YAML document"]),
        ("anchor", "domains: &a [x.example]\n", 1, 10, ["anchors"]),
        ("alias", "domains: *a\n", 1, 10, ["aliases"]),
        ("tag", "domains: !!set {a}\n", 1, 10, ["tags"]),
        ("directive", "%YAML 1.1\n---\ndomains: []\n", 1, 1, ["directives"]),
        ("deep", "a: " * 1 + "[" * 40 + "]" * 40, 1, 19, ["deeper"]),
        ("a list as a key", "? [a]\n: b\n", 1, 3, ["key"]),
        ("NUL", 'log: {level: "a\\0b"}\n', 1, 14, ["NUL"]),
        ("indentation", "engine:\n   workers: 2\n  user: x\n", 3, 3, []),
        ("key of a later version", "delivery: {}\n", 1, 1, ["not available in this version"]),
        ("misplaced", HEAD + "lmtpservers:\n  - handlerchain: []\n    authorizedAddresses: 10.0.0.1\n",
         5, 5, ["not an option of lmtpservers"]),
        ("James's spelling", HEAD + SERVER + "    connectiontimeout: 3\n", 6, 5,
         ["did you mean 'connectionTimeout'"]),
        ("variable", "domains: ['${env:PATH}!']\n", 1, 11, ["domain"]),
        ("variable of another kind", "domains: ['${sys:user}']\n", 1, 11, ["env:NAME"]),
    ]
    for name, text, line, column, words in table:
        plant(name, text, line, column, *words)
    check_all(len(table))


def test_values():
    server = HEAD + SERVER
    table = [
        ("domain", "domains: [example.com, 'not a name']\n", 1, 24, ["not a name", "domain name"]),
        ("domain in a string", "domains: a.example b_c.example\n", 1, 10, ["b_c.example"]),
        ("default domain", "defaultDomain: -a\n", 1, 16, ["host name"]),
        ("hello name", server + "    helloName: a b\n", 6, 16, ["auto or a host name"]),
        ("no port", server.replace(":2525", ""), 5, 11, ["no port", "ADDRESS:PORT"]),
        ("port", server.replace("2525", "65536"), 5, 11, ["0..65535"]),
        ("bare IPv6", server.replace("127.0.0.1:2525", "'::1:25'"), 5, 11, ["port"]),
        ("host name", server.replace("127.0.0.1", "mail.example"), 5, 11, ["numeric"]),
        ("network", server + "    authorizedAddresses: [10.0.0.0/8, 10.0.0.0/33]\n", 6, 39,
         ["10.0.0.0/33", "192.0.2.0/24"]),
        ("network of a name", server + "    authorizedAddresses: [mail.example]\n", 6, 27, ["mail.example"]),
        ("network by hand", server + "    proxyFrom: [10.0.0.0/255.0.255.0]\n", 6, 17, ["10.0.0.0/255.0.255.0"]),
        ("line length", server + "    maxLineLength: 999\n", 6, 20,
         ["maxLineLength must be between 1000 and 1048576"]),
        ("power of two", "log: {queue: 5000}\n", 1, 14, ["power of two"]),
        ("greeting", server + "    smtpGreeting: \"h\\u00e4\"\n", 6, 19, ["printable ASCII"]),
        ("name too long", server + f"    name: {'x' * 65}\n", 6, 11, ["1 to 64 octets"]),
        ("no handlerchain", HEAD + "smtpservers:\n  - bind: 127.0.0.1:25\n", 4, 5, ["handlerchain", "[]"]),
        ("unknown hook", HEAD + "smtpservers:\n  - handlerchain: [Foo]\n", 4, 20, ["'Foo'"]),
        ("same port", server + "  - handlerchain: []\n    bind: 127.0.0.1:2525\n", 7, 11,
         ["already used in line 5"]),
        ("port of a wildcard", server + "  - handlerchain: []\n    bind: 0.0.0.0:2525\n", 5, 11,
         ["part of '0.0.0.0:2525' in line 7"]),
        ("same port in LMTP", server + "lmtpservers:\n  - handlerchain: []\n    bind: 127.0.0.1:2525\n", 8, 11,
         ["already used in line 5"]),
        ("same port twice", server.replace("127.0.0.1:2525", "[127.0.0.1:2525, 127.0.0.1:2525]"), 5, 28,
         ["already used in line 5"]),
        ("no address", server.replace("127.0.0.1:2525", "[]"), 5, 11, ["at least one address"]),
        ("open relay", server + "    authorizedAddresses: 0.0.0.0/0\n", 6, 26, ["allowOpenRelay"]),
        ("open relay by a mask", server + "    authorizedAddresses: 10.0.0.0/0.0.0.0\n", 6, 26, ["allowOpenRelay"]),
        ("open relay in halves", server + "    authorizedAddresses: [0.0.0.0/1, 128.0.0.0/1]\n", 6, 27,
         ["allowOpenRelay"]),
        ("users", "users: /does/not/exist\n", 1, 8, ["/does/not/exist", "No such file"]),
        ("users is a folder", "users: /tmp\n", 1, 8, ["regular file"]),
        ("aliases", "aliases: /does/not/exist\n", 1, 10, ["/does/not/exist", "No such file"]),
        ("hook without users", HEAD + "smtpservers:\n  - handlerchain: [ValidRcptHandler]\n", 4, 20, ["users"]),
    ]
    for name, text, line, column, words in table:
        plant(name, text, line, column, *words)
    check_all(len(table))


def test_files_that_cannot_be_read():
    for path, word in (("/does/not/exist.yaml", "No such file"), ("/tmp", "directory")):
        for command in ("check", "serve"):
            result = mxring(command, "-c", path)
            equal(result.returncode, 1 if command == "check" else 78, command)
            assert path in result.stderr and word in result.stderr, result.stderr


def test_other_files():
    """Mistakes in the files that the configuration names are at their own places."""
    path = write_config("users: u\naliases: a\ndomains: [example.com]\n")
    folder = os.path.dirname(path)
    users = ("bob\n", 1, "user@domain:HASH"), ("\nbob:x\n", 2, "address"), (
        "bob@example.com:{PLAIN}x\nbob@example.com:{PLAIN}x\n", 2, "already in line 1"), (
        "bob@example.com:{MD4}x\n", 1, "unknown hash"), ("bob@example.com:$2b$99$x\n", 1, "bob@example.com")
    aliases = ("ali\n", 1, 1, "alias@domain: target"), ("# x\nali@example.com: bob\n", 2, 18, "'bob'"), (
        "a@example.com: b@x.y\nA@example.com: b@x.y\n", 2, 1, "already in line 1"), (
        "@a.example: b@example.com\n", 1, 13, "@domain"), ("a@example.com:\n", 1, 15, "nothing")
    for text, line, word in users:
        expect_other(path, folder, {"u": text, "a": ""}, "u", line, 1, word)
    for text, line, column, word in aliases:
        expect_other(path, folder, {"u": "", "a": text}, "a", line, column, word)


def expect_other(path, folder, files, name, line, column, word):
    for other, text in files.items():
        with open(os.path.join(folder, other), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(file.name, stat.S_IRUSR | stat.S_IWUSR)
    result = mxring("check", "-c", path)
    equal(result.returncode, 1, files)
    found = problems(result.stderr, os.path.join(folder, name))
    assert any(at == (line, column) and word in words for *at, words in
               [(tuple(f[:2]), f[2]) for f in found] for at in [at[0]]), (files, result.stderr)


def test_all_at_once():
    """All problems are said, in order, and serve says the same."""
    text = HEAD + "smtpservers:\n" + "".join(
        f"  - {{handlerchain: [], bind: '127.0.0.1:{2000 + i}', maxErrors: -1, nonsense: 1}}\n"
        for i in range(50))
    path = write_config(text)
    for command, status in (("check", 1), ("serve", 78)):
        result = mxring(command, "-c", path)
        equal(result.returncode, status)
        found = problems(result.stderr, path)
        equal(len(found), 100, command)
        equal(found, sorted(found, key=lambda row: row[:2]), command)


def test_a_good_file_still_is():
    with serve(write_config(HEAD + SERVER.replace("2525", "0"))) as server:
        server.signal(signal.SIGTERM)
        equal(server.wait(), 0)


run(globals())
