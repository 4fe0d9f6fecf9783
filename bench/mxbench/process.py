"""Start a server or a load, and be sure that it is gone at the end."""
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import time

from .account import new_account

UP_SECONDS = 15
END_SECONDS = 5
ENDING = {signal.SIGINT, signal.SIGTERM}
TAIL = 2000  # characters of stderr that are shown


class Failure(Exception):
    """What the user is told, and the exit status."""

    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


class Interrupted(Exception):
    """SIGINT or SIGTERM has come; `status` is the exit status for it."""

    def __init__(self, number):
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.status = 128 + number


def raise_interrupted():
    """From now on SIGINT and SIGTERM raise Interrupted."""
    def handler(number, _):
        raise Interrupted(number)

    for number in ENDING:
        signal.signal(number, handler)


def extend_path():
    """Servers live in sbin, which is not in everybody's PATH."""
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def tail(file):
    """The end of what a process wrote to this file, for a message to the user."""
    file.seek(0)
    text = file.read().decode("utf-8", "replace").strip()[-TAIL:]
    return f"\n{text}" if text else " (nothing on stderr)"


def end_group(process):
    """End a process that leads its own session, with what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # who is left
    process.wait()


@contextlib.contextmanager
def undisturbed():
    """SIGINT and SIGTERM wait: a process that begins or ends is not lost sight of."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def started(command, cpus, stderr, **how):
    """A process on these CPUs in a session of its own; at the end it is gone with what it started.

    Its `account` says what it and all that it starts use. The rest goes to Popen (stdout is thrown
    away unless given).
    """
    def prepare():
        os.sched_setaffinity(0, cpus)
        account.join()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    how.setdefault("stdout", subprocess.DEVNULL)
    account = process = None
    try:
        with undisturbed():
            account = new_account()
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr,
                                       start_new_session=True, preexec_fn=prepare, **how)
            process.account = account
            account.leader = process.pid
        yield process
    except OSError as error:
        if process is not None:
            raise
        raise Failure(f"cannot run {shlex.join(command)}: {error.strerror}") from error
    finally:
        with undisturbed():
            if process is not None:
                others = account.pids()
                end_group(process)
                account.end(others)
            elif account is not None:
                account.end([])


def greets(port):
    """Somebody greets on this port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as client:
            client.settimeout(2)
            return bool(client.recv(200))
    except OSError:
        return False


def wait_until_up(process, port, command, stderr):
    """Until the server greets; Failure when it ends before, or takes over UP_SECONDS."""
    end = time.monotonic() + UP_SECONDS
    while not greets(port):
        if process.poll() is not None:
            raise Failure(f"ended with {process.returncode}: {command}{tail(stderr)}")
        if time.monotonic() > end:
            raise Failure(f"no greeting on 127.0.0.1:{port} within {UP_SECONDS} s: {command}"
                          f"{tail(stderr)}")
        time.sleep(0.05)


def free_port(wanted=0):
    """The wanted port, or one that the kernel picks; never one on which somebody listens."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise Failure(f"127.0.0.1:{wanted}: {error.strerror}") from error
        return probe.getsockname()[1]
