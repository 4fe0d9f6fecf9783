"""Where results go, and what is said while they are made."""
import json
import os
import sys
import time

from .process import Failure


class Progress:
    """One line that changes on a terminal; elsewhere only what is news."""

    def __init__(self, minutes):
        self.begin = time.monotonic()
        self.minutes = minutes
        self.is_terminal = sys.stderr.isatty()
        self.length = 0

    def say(self, text, is_news=False):
        text = text.splitlines()[0]
        seconds = time.monotonic() - self.begin
        line = f"[{seconds // 60:.0f}:{seconds % 60:02.0f} of {self.minutes:g}:00] {text}"
        if self.is_terminal:
            print("\r" + line.ljust(self.length), end="\n" if is_news else "", file=sys.stderr,
                  flush=True)
            self.length = 0 if is_news else len(line)
        elif is_news:
            print(line, file=sys.stderr, flush=True)

    def end(self):
        if self.length:
            print("\r" + " " * self.length, end="\r", file=sys.stderr, flush=True)


def new_base(folder, name):
    """folder/NAME, or NAME-2, ... : no result is overwritten. Without the suffix."""
    os.makedirs(folder, exist_ok=True)
    number = 1
    while True:
        base = f"{folder}/{name}" + (f"-{number}" if number > 1 else "")
        if not os.path.exists(f"{base}.json"):
            return base
        number += 1


def write(path, text):
    """The file is whole or not there."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.new", path)
    print(f"wrote {os.path.relpath(path)}", file=sys.stderr)


def load(path, kind):
    """A result that was written before."""
    try:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
        if result["kind"] == kind and result["schema"] == 1:
            return result
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"{path}: {error!r}") from error
    raise Failure(f"{path} is no result of bench/{kind} that this version can read")
