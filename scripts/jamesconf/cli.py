"""Command line and exit status of james2yaml.py."""
import argparse
import os
import sys

from jamesconf import convert, output, versions
from jamesconf.report import ERROR, NOTE, WARNING, clean

CLEAN, REFUSED, WARNED = 0, 1, 2

EPILOG = """\
The report on standard error has a line for each judgement: FILE:LINE: element: note, warning or
error: what and why. Exit status: 0 clean, 2 converted with warnings, 1 refused (nothing is
written), also for wrong usage. docs/MIGRATION.md explains the judgements."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(REFUSED, f"{self.prog}: {message}\n")


def _parser():
    parser = Parser(prog="james2yaml.py", epilog=EPILOG,
                    description="Turns the XML configuration of Apache James (smtpserver.xml, "
                                "lmtpserver.xml, domainlist.xml, usersrepository.xml, "
                                "recipientrewritetable.xml) into the YAML of mxring.",
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE.xml")
    parser.add_argument("-o", dest="output", metavar="OUT",
                        help="write the YAML here instead of standard output; PEM files and "
                             "aliases go beside it")
    parser.add_argument("--james-version", choices=versions.VERSIONS,
                        help="whose defaults the file relies on; else what the file shows")
    parser.add_argument("--james-home", metavar="DIR",
                        help="what file://conf/… is relative to; else the folder above conf/")
    parser.add_argument("--lenient", action="store_true",
                        help="apply misspelt names that James ignores")
    parser.add_argument("--skip-unknown", action="store_true",
                        help="leave out handler classes that James does not ship")
    parser.add_argument("--keep-open-relay", action="store_true",
                        help="keep networks that let the world relay")
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    return parser


def _tell(conversion):
    for line in conversion.report.lines():
        print(line, file=sys.stderr)


def _summary(conversion, text):
    report = conversion.report
    print(f"james2yaml: {text} ({report.count(ERROR)} errors, {report.count(WARNING)} warnings, "
          f"{report.count(NOTE)} notes)", file=sys.stderr)


def _say_the_rest(conversion):
    """What is in no comment yet stands at the head."""
    for entry in conversion.report.entries:
        if not entry.is_said:
            name = entry.file.rpartition("/")[2]
            conversion.top.head.append(f"{name}:{entry.line}: {entry.element}: {entry.text}")


def run(arguments):
    conversion = convert.convert(arguments)
    _say_the_rest(conversion)
    _tell(conversion)
    if conversion.report.count(ERROR):
        _summary(conversion, "refused, nothing is written")
        return REFUSED
    text = "\n".join(conversion.top.lines()) + "\n"
    files = list(conversion.files)
    if arguments.output:
        mode = output.SECRET if conversion.has_secrets else output.PUBLIC
        files.append((os.path.abspath(arguments.output), text.encode(), mode))
        try:
            remarks = output.write(files, arguments.force)
        except output.OutputError as error:
            print(f"james2yaml: {clean(str(error))}", file=sys.stderr)
            return REFUSED
        for path, remark in remarks:
            print(conversion.report.add_at(WARNING, path, 1, "file", remark), file=sys.stderr)
    else:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
    _summary(conversion, "converted")
    return WARNED if conversion.report.count(WARNING) else CLEAN


def main(words=None):
    """The exit status. words: the command line without the program, sys.argv's by default."""
    arguments = _parser().parse_args(words)
    try:
        return run(arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except OSError as error:
        print(f"james2yaml: standard output: {error.strerror}", file=sys.stderr)
        return REFUSED
