"""Helpers of the tests of TLS: keys with the right mode, a client that can begin TLS anywhere."""
import os
import shutil
import ssl
import tempfile

from lib_mxring import SOURCE, Client, Server, config, mxring

KEYS = f"{SOURCE}/tests/tls"
# wolfSSL 5.5 opens a device to read a certificate, which a worker may not: no subject is known.
HAS_SUBJECT = "wolfSSL 5.5." not in mxring("--version").stdout


class Keys(tempfile.TemporaryDirectory):
    """A folder with copies of tests/tls that only we can read; keys.path("rsa.key")."""

    def __init__(self):
        super().__init__(prefix="mxring-tls-")
        for name in os.listdir(KEYS):
            self.put(name, name)

    def __enter__(self):
        super().__enter__()
        return self

    def path(self, name):
        return os.path.join(self.name, name)

    def put(self, name, source):
        """Make name a copy of the tests' file, in one step, as a careful administrator does."""
        shutil.copyfile(f"{KEYS}/{source}", self.path(".new"))
        os.chmod(self.path(".new"), 0o600)
        os.rename(self.path(".new"), self.path(name))

    def tls(self, which="startTLS: true", name="ecdsa", more=""):
        """The words of a server's configuration."""
        return (f"tls: {{{which}, privateKey: {self.path(name + '.key')}, "
                f"certificates: {self.path(name + '.pem')}{', ' if more else ''}{more}}}")


def serve(text, listeners=1, level="debug", more="", engine=""):
    """A gateway that keeps nothing, with these words of its SMTP server."""
    return Server("serve", "-c", config(engine=engine, smtp=text,
                                        more=f"log: {{level: {level}}}\n{more}"),
                  listeners=listeners)


def context(version=None, trust=None, certificate=None, keys=None):
    """A client's context; version "1.2" or "1.3". Without trust it believes everybody."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if trust:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(trust)
    if version:
        only = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
        made.minimum_version = made.maximum_version = only
    if certificate:
        made.load_cert_chain(keys.path(certificate + ".pem"), keys.path(certificate + ".key"))
    return made


class TlsClient(Client):
    """TLS from the first octet on, or with starttls() later."""

    def __init__(self, address, use=None, implicit=False, greeting="220", name=None, session=None):
        super().__init__(address, greeting=None if implicit else greeting)
        self.use = use or context()
        self.name = name
        self.session = session
        if implicit:
            self.handshake()
            if greeting:
                self.expect(greeting)

    def handshake(self):
        self.file.close()
        self.socket = self.use.wrap_socket(self.socket, server_hostname=self.name,
                                           session=self.session)
        self.file = self.socket.makefile("rb")

    def starttls(self):
        self.command("STARTTLS", "220")
        self.handshake()

    def subject(self):
        """The common name of the server's certificate; its authority must be trusted."""
        return dict(pair for row in self.socket.getpeercert()["subject"] for pair in row)["commonName"]
