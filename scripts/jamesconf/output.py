"""Files written all or none, readable by their owner only where they hold secrets."""
import contextlib
import os
import tempfile

SECRET, PUBLIC = 0o600, 0o644


class OutputError(Exception):
    """path: what could not be written, and why; left: what is not as it was before."""

    def __init__(self, path, text, left=""):
        super().__init__(f"{path}: {text}; {left or 'nothing is written'}")


def _reason(error):
    return error.strerror or str(error)


def _hidden(path):
    """A new empty file beside a path: a descriptor and its name."""
    folder = os.path.dirname(path) or "."
    return tempfile.mkstemp(prefix=f".{os.path.basename(path)[:100]}.", dir=folder)


def _set_mode(handle, mode):
    """What the umask leaves of it. A file system that has no modes gives its own."""
    try:
        os.fchmod(handle, mode & ~_umask())
    except PermissionError:
        pass  # so _is_exposed looks at what came out


def _is_exposed(handle, mode):
    return mode == SECRET and os.fstat(handle).st_mode & 0o077 != 0


def _temporary(path, data, mode):
    """The content beside its place, on the disk: its name, and what there is to say about it."""
    handle, name = _hidden(path)
    remarks = []
    try:
        with os.fdopen(handle, "wb") as file:  # mkstemp's mode is 0600
            if mode != SECRET:
                _set_mode(file.fileno(), mode)
            if _is_exposed(file.fileno(), mode):
                remarks.append((path, "this file system lets others read it, and it holds "
                                      "secrets: move it to one that has modes"))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.unlink(name)
        raise
    return name, remarks


def _umask():
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _set_aside(path):
    """A second name for what is there, so that it can come back; None: nothing is there."""
    if not os.path.lexists(path):
        return None
    handle, name = _hidden(path)
    os.close(handle)
    try:
        os.unlink(name)
        os.link(path, name, follow_symlinks=False)
    except OSError:
        os.replace(path, name)  # no hard links here: for a moment the path is free
    return name


def _claim(path):
    """Take a path that is free; FileExistsError: it is not any more."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, SECRET))


class _Change:
    """The files, taken to their places one after the other; undo() takes all back."""

    def __init__(self, is_forced):
        self.is_forced = is_forced
        self.done = []  # (path, the second name of what was there or None)

    def place(self, name, path):
        if self.is_forced:
            self.done.append((path, _set_aside(path)))
        else:
            _claim(path)
            self.done.append((path, None))
        os.replace(name, path)

    def undo(self):
        """What could not be undone."""
        failed = []
        for path, aside in reversed(self.done):
            try:
                if aside is not None:
                    os.replace(aside, path)
                    if os.path.lexists(aside):  # it was the same file still
                        os.unlink(aside)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)
            except OSError as error:
                where = f", its old content is in {aside}" if aside else ""
                failed.append(f"{path} is not as it was ({_reason(error)}){where}")
        return "; ".join(failed)

    def finish(self):
        """The old files go; remarks about those that do not."""
        remarks = []
        for path, aside in self.done:
            try:
                if aside is not None:
                    os.unlink(aside)
            except OSError as error:
                remarks.append((path, f"its old content stays in {aside}: {_reason(error)}"))
        return remarks


def write(files, is_forced):
    """files: [(path, octets, mode)]. Returns remarks for whoever uses them: [(path, text)]. Raises
    OutputError: then everything is as it was, or the text says what is not."""
    for path, _, _ in files:
        if not is_forced and os.path.lexists(path):
            raise OutputError(path, "is there already (--force replaces it)")
        if os.path.isdir(path):
            raise OutputError(path, "is a folder")
    temporary, remarks = [], []
    change = _Change(is_forced)
    path = None
    try:
        for path, data, mode in files:
            name, said = _temporary(path, data, mode)
            temporary.append(name)
            remarks += said
        for (path, _, _), name in zip(files, list(temporary)):
            change.place(name, path)
            temporary.remove(name)
    except OSError as error:
        raise OutputError(path, _reason(error), change.undo()) from None
    except BaseException:
        change.undo()
        raise
    finally:
        for name in temporary:
            os.unlink(name)
    return remarks + change.finish()
