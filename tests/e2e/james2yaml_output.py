"""The converter's files: all or none, on file systems without hard links, too."""
import contextlib
import errno
import os
import stat
from unittest import mock

from lib_james2yaml import CURRENT, Folder, handlers, inside, smtp
from lib_mxring import equal, run

TABLE = "<recipientrewritetable><mapping>a@example.com=b@example.com</mapping>" \
        "</recipientrewritetable>"
SECRETS = smtp(chain=handlers(
    '<handler class="org.apache.james.smtpserver.ConfigurationAuthHook"><accounts><account>'
    "<username>bob@example.com</username><passwords><password>x</password></passwords></account>"
    "</accounts></handler>"))


def no_hard_links():
    """As on vfat and some network file systems."""
    return mock.patch("os.link", side_effect=OSError(errno.EPERM, "Operation not permitted"))


def failing(name, number, *more):
    """Call number N of a function fails; so do the calls `more`."""
    real, calls = getattr(os, name), []

    def call(*arguments, **how):
        calls.append(arguments)
        if len(calls) in (number, *more):
            raise OSError(errno.EIO, "Input/output error")
        return real(*arguments, **how)
    return mock.patch(f"os.{name}", side_effect=call)


def convert(folder, *words):
    return inside(folder.write("a.xml", smtp()), folder.write("b.xml", TABLE), "-o",
                  folder.path("mx.yaml"), CURRENT, *words)


def contents(folder):
    found = {}
    for name in os.listdir(folder.name):
        if not name.endswith(".xml"):
            with open(folder.path(name), encoding="utf-8") as file:
                found[name] = file.read()
    return found


def test_without_hard_links():
    with Folder() as folder, no_hard_links():
        result = convert(folder)
        assert result.status in (0, 2), result.errors
        first = contents(folder)
        equal(sorted(first), ["aliases", "mx.yaml"], "nothing else is left")
        assert "a@example.com: b@example.com" in first["aliases"], first
        again = convert(folder)
        equal(again.status, 1)
        assert "--force" in again.errors, again.errors
        folder.write("aliases", "old")
        equal(convert(folder, "--force").status, result.status)
        equal(contents(folder), first)


def test_a_file_that_comes_meanwhile_is_kept():
    with Folder() as folder:
        with mock.patch("os.path.lexists", return_value=False):
            folder.write("mx.yaml", "somebody's")
            result = convert(folder)
        equal(result.status, 1)
        assert any("nothing is written" in line for line in result.other), result.errors
        equal(contents(folder), {"mx.yaml": "somebody's"})


def test_all_or_nothing():
    """Replacing the second file fails; with hard links and without."""
    for is_linkless in (False, True):
        for number in range(1, 5):
            old = {"aliases": "old aliases", "mx.yaml": "old yaml"}
            with Folder() as folder:
                for name, text in old.items():
                    folder.write(name, text)
                os.symlink("aliases", folder.path("link.yaml"))
                with failing("replace", number) as calls:
                    link = no_hard_links() if is_linkless else contextlib.nullcontext()
                    with link:
                        result = convert(folder, "--force")
                # without links two calls a file, with them one
                is_reached = number <= (4 if is_linkless else 2)
                equal(result.status in (0, 2), not is_reached, f"{number}\n{result.errors}")
                assert calls.call_count >= min(number, 2), calls.call_args_list
                if is_reached:
                    assert any("Input/output error; nothing is written" in line
                               for line in result.other), result.errors
                    equal(contents(folder), {**old, "link.yaml": old["aliases"]}, number)
                    assert os.path.islink(folder.path("link.yaml"))


def test_new_files_go_again():
    with Folder() as folder, failing("replace", 2):
        result = convert(folder)
        equal(result.status, 1)
        equal(contents(folder), {})


def test_what_cannot_be_undone_is_said():
    with Folder() as folder:
        folder.write("aliases", "old aliases")
        with failing("replace", 2, 3):
            result = convert(folder, "--force")
        equal(result.status, 1)
        line = next(line for line in result.other if "is not as it was" in line)
        assert "nothing is written" not in line, line
        aside = line.rpartition(" ")[2]
        with open(aside, encoding="utf-8") as file:
            equal(file.read(), "old aliases")


def test_no_modes():
    """A file system with modes of its own: what is secret is readable there, and that is said."""
    real = os.fstat

    def open_to_all(handle):
        fields = list(real(handle))
        fields[0] = stat.S_IFREG | 0o755
        return os.stat_result(fields)

    for text, is_said in ((smtp(), False), (SECRETS, True)):
        refuse = mock.patch("os.fchmod", side_effect=PermissionError(errno.EPERM, "no"))
        with Folder() as folder, refuse, mock.patch("os.fstat", side_effect=open_to_all):
            result = inside(folder.write("a.xml", text), "-o", folder.path("mx.yaml"), CURRENT)
        assert result.status in (0, 2), result.errors
        equal(result.says("file", "lets others read it", level="warning"), is_said, result.errors)


run(globals())
