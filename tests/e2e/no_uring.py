"""mxring where io_uring is forbidden: a seccomp filter refuses io_uring_setup, as in containers."""
import ctypes
import platform
import struct
import sys

from lib_mxring import MXRING, config, equal, mxring, run, skip

IO_URING_SETUP = 425  # the same number on every architecture
EPERM, ENOSYS = 1, 38
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2

if platform.machine() not in ("x86_64", "aarch64"):
    skip("the filter is written for x86_64 and aarch64")


def forbid_io_uring(error):
    """A function for the child: from now on io_uring_setup fails with this error."""
    def rule(code, jump_true, jump_false, value):
        return struct.pack("HBBI", code, jump_true, jump_false, value)

    rules = (rule(0x20, 0, 0, 0)                        # load the number of the system call
             + rule(0x15, 0, 1, IO_URING_SETUP)         # is it this one?
             + rule(0x06, 0, 0, 0x00050000 | error)     # return the error
             + rule(0x06, 0, 0, 0x7FFF0000))            # allow
    buffer = ctypes.create_string_buffer(rules, len(rules))
    program = struct.pack("HxxxxxxP", len(rules) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)

    def load():
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            sys.exit("no_new_privs is refused")
        if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) != 0:
            sys.exit("the seccomp filter is refused")
        assert buffer  # the filter's memory lives until here
    return load


def refused(error, *arguments):
    result = mxring(*arguments, preexec_fn=forbid_io_uring(error))
    equal(result.returncode, 78, f"{MXRING} {arguments}: {result.stdout}{result.stderr}")
    return result


def test_probe():
    result = refused(EPERM, "probe")
    assert "io_uring: not usable" in result.stdout, result.stdout
    for word in ("seccomp", "io_uring_setup"):
        assert word in result.stderr, result.stderr


def test_kernel_without_io_uring():
    result = refused(ENOSYS, "probe")
    assert "6.1" in result.stderr, result.stderr


def test_sink():
    result = refused(EPERM, "sink", "127.0.0.1:0")
    assert "seccomp" in result.stderr, result.stderr
    assert "event=listening" not in result.stderr
    equal(result.stdout, "")


def test_serve():
    result = refused(EPERM, "serve", "-c", config())
    assert "seccomp" in result.stderr, result.stderr


def test_the_filter_is_the_reason():
    equal(mxring("probe").returncode, 0)


run(globals())
