"""Files written all or none, readable by their owner only where they hold secrets."""
import os
import tempfile

SECRET, PUBLIC = 0o600, 0o644


class OutputError(Exception):
    """path: what could not be written, and why."""

    def __init__(self, path, text):
        super().__init__(f"{path}: {text}")


def _temporary(path, data, mode):
    """The content beside its place, on the disk."""
    folder = os.path.dirname(path) or "."
    handle, name = tempfile.mkstemp(prefix=f".{os.path.basename(path)[:100]}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:  # mkstemp's mode is 0600
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode != SECRET:
            os.chmod(name, mode & ~_umask())
    except OSError:
        os.unlink(name)
        raise
    return name


def _umask():
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _place(name, path, is_forced):
    if is_forced:
        os.replace(name, path)
    else:
        os.link(name, path)  # unlike rename it never replaces
        os.unlink(name)


def write(files, is_forced):
    """files: [(path, octets, mode)]. Raises OutputError; then nothing new is left."""
    for path, _, _ in files:
        if not is_forced and os.path.lexists(path):
            raise OutputError(path, "is there already (--force replaces it)")
        if os.path.isdir(path):
            raise OutputError(path, "is a folder")
    temporary, placed = [], []
    path = None
    try:
        for path, data, mode in files:
            temporary.append(_temporary(path, data, mode))
        for (path, _, _), name in zip(files, list(temporary)):
            _place(name, path, is_forced)
            temporary.remove(name)
            placed.append(path)
    except OSError as error:
        if not is_forced:
            for done in placed:
                os.unlink(done)
        raise OutputError(path, error.strerror or str(error)) from None
    finally:
        for name in temporary:
            os.unlink(name)
