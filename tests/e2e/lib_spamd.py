"""A real spamd of SpamAssassin, without network; skips when there is none."""
import os
import socket
import subprocess
import time

from lib_mxring import tool
from lib_rspamd import free_port


class Spamd:
    """On 127.0.0.1:port."""

    def __init__(self, folder):
        self.port = free_port()
        command = [tool("spamd"), "--local", "--listen", "127.0.0.1", "--port", str(self.port), "--max-children", "1",
                   "--min-children", "1", "--min-spare", "1", "--max-spare", "1", "--nouser-config",
                   "--syslog", "stderr", "--helper-home-dir", folder]
        if os.geteuid() == 0:
            command += ["--username", "nobody"]
            os.chmod(folder, 0o777)
        self.log = open(f"{folder}/spamd.log", "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, cwd="/")
        end = time.monotonic() + 120
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                with open(f"{folder}/spamd.log", "rb") as file:
                    raise AssertionError("spamd does not answer: " + file.read().decode(errors="replace")[-2000:])
            time.sleep(0.1)

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 10) as peer:
                peer.sendall(b"PING SPAMC/1.2\r\n\r\n")
                return b"PONG" in peer.recv(100)
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
