"""A real rspamd, without network and without most of its modules; skips when there is none."""
import os
import pwd
import shutil
import socket
import subprocess
import time

from lib_mxring import tool

HAM = ("From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nDate: Wed, 25 Nov 2026 13:50:18 +0000\r\n"
       "Message-ID: <1@example.org>\r\nSubject: hello\r\n\r\nharmless\r\n")
GTUBE = HAM.replace("harmless", "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X")
# rspamd's own patterns for its milder actions
ADD_HEADER = HAM.replace("harmless", "YJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X")
REWRITE = HAM.replace("harmless", "ZJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X")
OFF = ("antivirus arc asn bayes_expiry dkim dkim_signing dmarc emails fuzzy_check greylist hfilter "
       "history_redis metadata_exporter mid mx_check neural once_received phishing ratelimit rbl replies spf "
       "surbl url_redirector whitelist").split()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Rspamd:
    """milter: the path of its socket; http: HOST:PORT."""

    def __init__(self, folder):
        program = tool("rspamd")
        self.folder = f"{folder}/rspamd"
        self.milter, self.http = f"{self.folder}/milter.sock", f"127.0.0.1:{free_port()}"
        os.makedirs(f"{self.folder}/local.d")
        self._write("worker-normal", f'bind_socket = "{self.http}";\ncount = 1;\n', "inc")
        self._write("worker-controller", f'bind_socket = "127.0.0.1:{free_port()}";\n', "inc")
        self._write("worker-proxy", f'bind_socket = "{self.milter} mode=0666";\nmilter = yes;\ncount = 1;\n'
                    'upstream "local" { default = yes; self_scan = yes; }\n', "inc")
        self._write("worker-fuzzy", "enabled = false;\n", "inc")
        self._write("options", 'dns { nameserver = ["127.0.0.1:9"]; timeout = 0.2s; retransmits = 1; }\n'
                    f'local_addrs = [];\nenable_test_patterns = true;\nfilters = "";\ncontrol_socket = "{self.folder}/control.sock";\n', "inc")
        self._write("logging", 'type = "console";\nlevel = "warning";\n', "inc")
        self._write("milter_headers", 'use = ["x-spam-status"];\nskip_local = false;\n', "conf")
        self._write("actions", "reject = 15;\nadd_header = 6;\n", "conf")
        for module in OFF:
            self._write(module, "enabled = false;\n", "conf")
        command = [program, "-f"]
        if os.geteuid() == 0:
            user = pwd.getpwnam("_rspamd")
            os.chmod(folder, 0o755)
            for path, _, files in os.walk(self.folder):
                for name in (path, *(f"{path}/{file}" for file in files)):
                    os.chown(name, user.pw_uid, user.pw_gid)
            command += ["-u", "_rspamd", "-g", "_rspamd"]
        for name, value in (("LOCAL_CONFDIR", self.folder), ("DBDIR", self.folder), ("RUNDIR", self.folder),
                            ("LOGDIR", self.folder)):
            command.append(f"--var={name}={value}")
        self.log = open(f"{self.folder}/log", "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        try:
            self._wait()
        except AssertionError:
            self.__exit__()
            raise

    def _write(self, name, text, kind):
        with open(f"{self.folder}/local.d/{name}.{kind}", "w", encoding="ascii") as file:
            file.write(text)

    def _wait(self):
        """It compiles its patterns first."""
        host, port = self.http.split(":")
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert self.process.poll() is None, "rspamd ended: " + self._said()
            try:
                with socket.create_connection((host, int(port)), 5) as peer:
                    peer.settimeout(5)
                    peer.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
                    if b"pong" in peer.recv(4096):
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError("rspamd does not answer: " + self._said())

    def _said(self):
        with open(f"{self.folder}/log", "rb") as file:
            return file.read()[-2000:].decode(errors="replace")

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
        shutil.rmtree(self.folder, ignore_errors=True)
