"""recipientrewritetable.xml: whatever stands in it, mxring check takes the file that comes out."""
from lib_james2yaml import CURRENT, Folder, inside
from lib_mxring import equal, mxring, run

DOMAINS = "<domainlist><domainnames><domainname>example.com</domainname></domainnames></domainlist>"


def table(*mappings):
    """The first mapping stands in line 2."""
    rows = "\n".join(f"<mapping>{mapping}</mapping>" for mapping in mappings)
    return f"<recipientrewritetable>\n{rows}\n</recipientrewritetable>"


def convert(*mappings):
    """The result, and the lines of the aliases file without its comments; check has taken it."""
    with Folder() as folder:
        out = folder.path("mx.yaml")
        result = inside(folder.write("a.xml", table(*mappings)), folder.write("b.xml", DOMAINS),
                        "-o", out, CURRENT)
        try:
            with open(folder.path("aliases"), encoding="utf-8") as file:
                lines = [line for line in file.read().splitlines() if not line.startswith("#")]
        except FileNotFoundError:
            return result, []
        checked = mxring("check", "-c", out)
        equal(checked.returncode, 0, f"{lines}\n{checked.stderr}")
        return result, lines


def test_several_mappings_of_one_source():
    """James sends to all of them."""
    result, lines = convert("ali@example.com=alice@example.com", "x@example.com=bob",
                            "ALI@example.com=bob@example.com; carol@example.com",
                            "Ali@Example.com=Alice@example.com")
    equal(lines, ["ali@example.com: alice@example.com, bob@example.com, carol@example.com",
                  "x@example.com: bob@example.com"])
    equal(result.status, 0, result.errors)
    assert result.says("4: mapping", "targets join", "line 2", level="note"), result.errors
    assert result.says("5: mapping", "nothing that is not in line 2", level="note"), result.errors


def test_the_same_target_twice():
    _, lines = convert("ali@example.com=bob@example.com;BOB@example.com,bob")
    equal(lines, ["ali@example.com: bob@example.com"])


def test_several_mappings_of_one_domain():
    result, lines = convert("*@old.example=@example.com", "@OLD.example=domain:Example.com",
                            "@old.example=domain:other.example")
    equal(lines, ["@old.example: @example.com"])
    equal(result.status, 2)
    assert result.says("3: mapping", "line 2", level="note"), result.errors
    assert result.says("4: mapping", "second domain", "line 2", "left out",
                       level="warning"), result.errors


def test_grammar():
    """What mxring's file cannot hold is left out, with a word that names it."""
    long = "x" * 64
    for bad in ("a..b@example.com", ".a@example.com", "a.@example.com", "a b@example.com",
                "a(b)@example.com", "a\\b@example.com", '"a"@example.com', "a[b@example.com",
                "x@ex_ample.com", "x@-bad.com", "x@bad-.com", "x@a..b", "x@example.com.", "x@1a",
                "x@example.123", "x@[1.2.3.4]", f"x@{long}.com", "x@", "a@b@example.com",
                "b\u00f6b@example.com", "x@1.2.3"):
        for mapping in (f"{bad}=alice@example.com", f"z@example.com={bad}"):
            result, lines = convert(mapping, "y@example.com=alice")
            equal(lines, ["y@example.com: alice@example.com"], mapping)
            equal(result.status, 2, mapping)
            assert result.says("2: mapping", bad[:50], "left out", level="warning"), result.errors
            assert "{value}" not in result.errors, result.errors
    for bad in ("*@ex_ample.com=@example.com", "@-bad.com=domain:example.com",
                "@old.example=domain:-bad.com", "@old.example=domain:1.2"):
        result, lines = convert(bad)
        equal((result.status, lines), (2, []), bad)
        assert result.says("2: mapping", "the domain '", "left out"), result.errors
        assert "{value}" not in result.errors, result.errors


def test_grammar_is_not_too_narrow():
    mappings = ["!#$%&amp;'*+-/=?^_`{|}~@example.com", "a.b.c@a-b.example", "x@1.2.3.4", "1@b.c4",
                "a#b@example.com"]
    result, lines = convert(*(f"{number}@example.com={text}"
                              for number, text in enumerate(mappings)))
    equal(result.status, 0, result.errors)
    equal([line.partition(": ")[2] for line in lines],
          [mapping.replace("&amp;", "&") for mapping in mappings])


def test_what_would_be_a_comment():
    result, lines = convert("#ali@example.com=bob", "bob@example.com=#ali@example.com")
    equal(lines, ["bob@example.com: #ali@example.com"])
    assert result.says("2: mapping", "begins with #", "left out", level="warning"), result.errors


run(globals())
