"""Users and servers for the end-to-end tests that log in; and the client's side of SCRAM-SHA-256."""
import base64
import hashlib
import hmac
import os

import lib_mxring

PASSWORD = "s3cret pass:word"


def users(*hashes, count=None):
    """A users file: user0@example.com, user1@... with PASSWORD, by what mxring passwd makes of it."""
    lines = []
    for number in range(count or len(hashes)):
        name, kind = f"user{number}@example.com", hashes[number % len(hashes)]
        if kind == "plain":
            lines.append(f"{name}:{{PLAIN}}{PASSWORD}\n")
            continue
        done = lib_mxring.subprocess.run(
            [lib_mxring.MXRING, "passwd", "--hash", kind, name], input=PASSWORD + "\n",
            capture_output=True, text=True, timeout=60, check=True)
        lines.append(done.stdout)
    path = lib_mxring.write_config("".join(lines))
    os.chmod(path, 0o600)
    return path


def server(users_file, auth="announce: always", smtp="", engine="", **how):
    more = f"users: {users_file}\nlog: {{level: debug}}"
    smtp = f"auth: {{{auth}}}, {smtp}" if smtp else f"auth: {{{auth}}}"
    return lib_mxring.serve(lib_mxring.config(smtp=smtp, more=more, engine=engine), **how)


def encode(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def decode(text):
    return base64.b64decode(text, validate=True)


def plain(user, password=PASSWORD):
    return "AUTH PLAIN " + encode(f"\0{user}\0{password}")


def scram(client, user, password=PASSWORD, nonce="fyko+d2lbbFgONRv9qkxdawL"):
    """Log in by RFC 5802; the server has to prove itself, too. Returns the last reply."""
    bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
    client.send("AUTH SCRAM-SHA-256 " + encode("n,," + bare) + "\r\n")
    reply = client.reply()
    if not reply.startswith("334 "):
        return reply
    first = decode(reply[4:].strip()).decode()
    fields = dict(part.split("=", 1) for part in first.split(","))
    assert fields["r"].startswith(nonce) and len(fields["r"]) >= len(nonce) + 18, first
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), decode(fields["s"]),
                                 int(fields["i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    without_proof = f"c=biws,r={fields['r']}"
    message = ",".join([bare, first, without_proof]).encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    client.send(encode(f"{without_proof},p={encode(proof)}") + "\r\n")
    reply = client.reply()
    if not reply.startswith("334 "):
        return reply
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    wanted = "v=" + encode(hmac.digest(server_key, message, "sha256"))
    lib_mxring.equal(decode(reply[4:].strip()).decode(), wanted, "server signature")
    client.send("\r\n")
    return client.reply()
