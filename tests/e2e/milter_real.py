"""Milter with the programs that Debian has: rspamd rejects GTUBE and adds header fields, OpenDKIM signs,
and verifies what it has signed, ClamAV rejects EICAR."""
import os
import pwd
import re
import shutil
import subprocess
import tempfile

from lib_mxring import Client, equal, eventually, run, serve, skip, tool
from lib_rspamd import GTUBE, HAM, Rspamd
from milter import config, last, stored


class OpenDkim:
    """One that signs or verifies for example.org."""

    def __init__(self, folder, mode, keys):
        self.path = f"{folder}/{mode}.sock"
        hosts = f"{folder}/{mode}.hosts"
        with open(hosts, "w", encoding="ascii") as file:
            file.write("127.0.0.1\n" if mode == "s" else "192.0.2.1\n")
        with open(f"{folder}/{mode}.conf", "w", encoding="ascii") as file:
            file.write(f"""Mode {mode}
Domain example.org
Selector sel
KeyFile {folder}/sel.private
Socket local:{self.path}
InternalHosts {hosts}
TestPublicKeys {keys}
Canonicalization relaxed/relaxed
AuthservID mx.example
RequireSafeKeys no
Syslog no
AlwaysAddARHeader yes
""")
        self.process = subprocess.Popen([tool("opendkim"), "-x", f"{folder}/{mode}.conf", "-f", "-l"])
        try:
            eventually(lambda: os.path.exists(self.path), "opendkim listens")
        except AssertionError:
            self.process.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)


def make_keys(folder):
    made = subprocess.run([tool("opendkim-genkey"), "-b", "1024", "-d", "example.org", "-s", "sel", "-D", folder],
                          capture_output=True, text=True, check=False)
    equal(made.returncode, 0, made.stderr)
    with open(f"{folder}/sel.txt", encoding="ascii") as file:
        record = "".join(re.findall(r'"([^"]*)"', file.read()))
    with open(f"{folder}/keys", "w", encoding="ascii") as file:
        file.write(f"sel._domainkey.example.org {record}\n")
    return f"{folder}/keys"


def test_opendkim():
    for name in ("opendkim", "opendkim-genkey"):
        if shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
            return print(f"without {name}: it is not installed")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        keys = make_keys(folder)
        with OpenDkim(folder, "s", keys) as signer, OpenDkim(folder, "v", keys) as verifier:
            with serve(config(f"unix:{signer.path}", directory=folder)) as server:
                equal(last(server, message=HAM)[:3], "250", "to be signed")
                server.stop()
            signed, = stored(folder)
            shutil.rmtree(f"{folder}/spool")
            assert signed.startswith("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org;"), signed
            broken = signed.replace("harmless", "harmful!")
            assert broken != signed
            with serve(config(f"unix:{verifier.path}", directory=folder)) as server:
                for text in (signed, broken):
                    equal(last(server, message=text.replace("\n", "\r\n"))[:3], "250", "to be verified")
                server.stop()
            good, bad = sorted(stored(folder), key=lambda text: "harmful!" in text)
            assert re.search(r"^Authentication-Results: mx.example;\s+dkim=pass ", good, re.M), good
            assert re.search(r"^Authentication-Results: mx.example;\s+dkim=fail ", bad, re.M), bad


EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def start(folder, name, text):
    """A program of ClamAV; it listens at its socket when this returns."""
    path = f"{folder}/{name}.conf"
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    process = subprocess.Popen([tool(name), "-c", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: os.path.exists(f"{folder}/{name}.sock"), f"{name} listens", 120)
    except AssertionError:
        process.kill()
        raise
    return process


def test_clamav():
    for name in ("clamd", "clamav-milter"):
        if shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
            return print(f"without {name}: it is not installed")
    user = f"User {pwd.getpwuid(os.geteuid()).pw_name}\n"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.mkdir(f"{folder}/db")
        with open(f"{folder}/db/test.ndb", "w", encoding="ascii") as file:
            file.write(f"Test.Eicar:0:*:{EICAR.encode().hex()}\n")
        programs = []
        try:
            programs.append(start(folder, "clamd", f"LocalSocket {folder}/clamd.sock\nDatabaseDirectory {folder}/db\n"
                                  f"Foreground yes\n{user}"))
            programs.append(start(folder, "clamav-milter", f"MilterSocket unix:{folder}/clamav-milter.sock\n"
                                  f"ClamdSocket unix:{folder}/clamd.sock\nForeground yes\nOnInfected Reject\n"
                                  f"RejectMsg Virus %v\nAddHeader Replace\n{user}"))
            chain = config(f"unix:{folder}/clamav-milter.sock", "quarantine: reject", directory=folder)
            with serve(chain) as server:
                equal(last(server, message=HAM)[:3], "250", "ham")
                equal(last(server, message=HAM.replace("harmless", EICAR)),
                      "550 5.7.1 Virus Test.Eicar.UNOFFICIAL", "EICAR")
                server.stop()
        finally:
            for process in programs:
                process.terminate()
                process.wait(30)
        text, = stored(folder)
        assert re.search(r"^X-Virus-Status: Clean$", text, re.M), text


def test_rspamd():
    if shutil.which("rspamd") is None:
        return print("without rspamd: it is not installed")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, Rspamd(folder) as rspamd:
        with serve(config(f"unix:{rspamd.milter}", "onFailure: reject", directory=folder)) as server:
            equal(last(server, message=HAM)[:3], "250", "ham")
            equal(last(server, message=GTUBE), "554 5.7.1 Gtube pattern", "GTUBE")
            with Client((server.host, server.port)) as client:
                client.message(HAM)
                client.envelope()
                client.command("DATA", "354")
                client.send(GTUBE + ".\r\n")
                client.expect("554 5.7.1 Gtube pattern")
                client.message(HAM, recipients=("bob@example.com", "carol@example.com"))
                client.command("QUIT", "221")
            server.stop()
        texts = stored(folder)
        equal(len(texts), 3, "messages")
        for text in texts:
            assert re.search(r"^X-Spam-Status: No, score=", text, re.M), text
            assert text.startswith("Received: ") and text.endswith("\n\nharmless\n"), text


if __name__ == "__main__":
    if not any(shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
               for name in ("rspamd", "opendkim", "clamav-milter")):
        skip("neither rspamd nor opendkim nor clamav-milter is installed")
    run(globals())
