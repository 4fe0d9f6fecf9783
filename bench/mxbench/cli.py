"""What bench/compare and bench/scaling do alike at their begin and end."""
import contextlib
import json
import os
import resource
import sys

from . import output
from .process import Failure, Interrupted, extend_path, raise_interrupted, undisturbed

TOP = os.path.realpath(f"{__file__}/../../..")


def add_options(parser, rounds, seconds, minutes):
    """Options of both; the defaults are (full, quick) and stand in quick_or_full()."""
    add = parser.add_argument
    add("--rounds", type=int, help=f"default: {rounds[0]}, quick {rounds[1]}")
    add("--seconds", type=float, help=f"of a run; default: {seconds[0]}, quick {seconds[1]}")
    add("--minutes", type=float,
        help=f"no run begins later; default: {minutes[0]}, quick {minutes[1]}")
    add("--build", default=f"{TOP}/build",
        help="where mxring and mxload are; default: build")
    add("--scratch", default="/var/tmp",
        help="on a disk, for queues and spools; default: %(default)s")
    add("--out", default=f"{TOP}/bench/results", help="default: bench/results")
    add("--report", metavar="FILE", help="measure nothing: table and page of this JSON")
    add("--plot", metavar="FILE.svg", help="write the first plot of the page there, too")


def quick_or_full(parser, options, rounds, seconds, minutes):
    """Fill in the defaults and check them."""
    for name, values in (("rounds", rounds), ("seconds", seconds), ("minutes", minutes)):
        if getattr(options, name) is None:
            setattr(options, name, values[options.quick])
    if options.rounds < 1 or options.seconds <= 0 or options.minutes <= 0:
        parser.error("--rounds is 1 or more, --seconds and --minutes are more than 0")


def main(name, body):
    """Run body(), which returns the exit status; what the user must know goes to stderr."""
    extend_path()
    raise_interrupted()
    with contextlib.suppress(ValueError):  # thousands of connections; servers inherit it
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        sys.exit(body())
    except Failure as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        sys.exit(failure.status)
    except Interrupted as interrupted:
        sys.exit(interrupted.status)


def until_interrupted(run, result):
    """run(); the exit status. An interruption is noted in the result."""
    try:
        run()
        return 0
    except Interrupted as interrupted:
        result["interrupted"] = str(interrupted)
        return interrupted.status


def finish(result, options, show):
    """Write the JSON, then show(result, options, its path without .json)."""
    with undisturbed():
        prefix = "" if result["kind"] == "compare" else f"{result['kind']}-"
        base = output.new_base(options.out, prefix + result["machine"]["date"])
        output.write(f"{base}.json", json.dumps(result, separators=(",", ":")) + "\n")
        show(result, options, base)


def show_report(options, kind, show):
    """Of --report."""
    show(output.load(options.report, kind), options, options.report.removesuffix(".json"))
