"""Java keystores: PKCS12 becomes PEM with openssl, for JKS the commands are told.

Passwords reach openssl through a pipe, never on a command line, and are in no message.
"""
import os
import re
import shlex
import subprocess

KEYSTORE_MAX = 8 << 20    # octets
OPENSSL_SECONDS = 60
PASSWORD_MAX = 4096       # characters; a pipe takes it without a reader
MAGIC = ((b"\xfe\xed\xfe\xed", "JKS"), (b"\xce\xce\xce\xce", "JCEKS"), (b"\x30", "PKCS12"))
PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n.*?-----END \1-----\n", re.S)


class KeystoreError(Exception):
    """Why it cannot be turned into PEM, in words for the report."""


class Part:
    """A key or a certificate of a keystore."""

    def __init__(self, head, pem):
        self.pem = pem
        self.key_id = self._field(head, r"localKeyID: *([0-9A-F ]+)")
        self.alias = self._field(head, r"friendlyName: *(.*)")
        self.subject = self._field(head, r"subject=(.*)")
        self.issuer = self._field(head, r"issuer=(.*)")

    @staticmethod
    def _field(head, pattern):
        match = re.search(pattern, head)
        return match[1].strip() if match else None


def kind_of(data):
    """By its first octets: the type in the XML may lie, and Java goes by the file, too."""
    for magic, kind in MAGIC:
        if data.startswith(magic):
            return kind
    return None


def read(path):
    try:
        with open(path, "rb") as file:
            data = file.read(KEYSTORE_MAX + 1)
    except OSError as error:
        raise KeystoreError(f"cannot be read: {error.strerror}") from None
    if len(data) > KEYSTORE_MAX:
        raise KeystoreError(f"has more than {KEYSTORE_MAX >> 20} MiB")
    return data


def _openssl(arguments, password=None, data=None):
    """Run openssl. Returns its status, output and errors."""
    reader = None
    if password is not None:
        reader, writer = os.pipe()
        os.write(writer, password.encode() + b"\n")
        os.close(writer)
        arguments = [*arguments, "-passin", f"fd:{reader}"]
    how = {"input": data} if data is not None else {"stdin": subprocess.DEVNULL}
    try:
        result = subprocess.run(["openssl", *arguments], capture_output=True, check=False,
                                timeout=OPENSSL_SECONDS, pass_fds=(reader,) if reader else (),
                                env={**os.environ, "LC_ALL": "C"}, **how)
    except FileNotFoundError:
        raise KeystoreError("cannot be opened: openssl is not installed") from None
    except subprocess.TimeoutExpired:
        raise KeystoreError("cannot be opened: openssl does not come to an end") from None
    finally:
        if reader is not None:
            os.close(reader)
    return (result.returncode, result.stdout.decode("utf-8", "replace"),
            result.stderr.decode("utf-8", "replace"))


def _parts(path, password):
    if len(password) > PASSWORD_MAX or "\n" in password:
        raise KeystoreError("cannot be opened: the secret is too long or has two lines")
    command = ["pkcs12", "-in", path, "-nodes"]
    status, out, errors = _openssl(command, password)
    if status != 0 and "unsupported" in errors:
        status, out, errors = _openssl([*command, "-legacy"], password)
    if status != 0:
        if "invalid password" in errors or "mac verify" in errors.lower():
            raise KeystoreError("cannot be opened: the secret is wrong")
        raise KeystoreError("cannot be opened: openssl takes it for no PKCS12 file")
    keys, certificates, end = [], [], 0
    for match in PEM.finditer(out):
        part = Part(out[end:match.start()], match[0])
        end = match.end()
        (keys if "PRIVATE KEY" in match[1] else certificates).append(part)
    return keys, certificates


def _public(arguments, pem):
    status, out, _ = _openssl(arguments, data=pem.encode())
    return out if status == 0 else None


def _chain(leaf, certificates):
    """The leaf and its issuers, each once."""
    chain = [leaf]
    while chain[-1].issuer and chain[-1].issuer != chain[-1].subject:
        above = [part for part in certificates
                 if part.subject == chain[-1].issuer and part not in chain]
        if not above:
            break
        chain.append(above[0])
    return chain


def to_pem(path, password):
    """(key, certificates, remark): the PEM texts of a PKCS12 file. Raises KeystoreError."""
    keys, certificates = _parts(path, password)
    if not keys:
        raise KeystoreError("holds no private key")
    key, remark = keys[0], None
    if len(keys) > 1:
        names = ", ".join(part.alias or "without a name" for part in keys[1:])
        remark = f"holds several keys: {key.alias or 'the first'} is used, not {names}"
    public = _public(["pkey", "-pubout"], key.pem)
    # the one that is marked as the key's comes first; the key itself decides
    certificates.sort(key=lambda part: part.key_id is None or part.key_id != key.key_id)
    leaf = next((part for part in certificates if public is not None and
                 _public(["x509", "-noout", "-pubkey"], part.pem) == public), None)
    if leaf is None:
        raise KeystoreError("holds no certificate for its key")
    return key.pem, "".join(part.pem for part in _chain(leaf, certificates)), remark


def trusted(path, password):
    """The certificates of a PKCS12 trust store as PEM."""
    _, certificates = _parts(path, password)
    if not certificates:
        raise KeystoreError("holds no certificate")
    return "".join(part.pem for part in certificates)


def jks_commands(path, kind, pkcs12, key_path, certificates_path):
    """What turns a JKS file into the PEM files that the YAML names; the password is read from the
    environment."""
    quoted = [shlex.quote(text) for text in (path, pkcs12, key_path, certificates_path)]
    source, target, key, certificates = quoted
    return (f"umask 077; keytool -importkeystore -noprompt -srckeystore {source} "
            f"-srcstoretype {kind} -srcstorepass:env JAMES_SECRET -destkeystore {target} "
            "-deststoretype PKCS12 -deststorepass:env JAMES_SECRET && "
            f"openssl pkcs12 -in {target} -passin env:JAMES_SECRET -nodes -nocerts -out {key} && "
            f"openssl pkcs12 -in {target} -passin env:JAMES_SECRET -nokeys -out {certificates}")
