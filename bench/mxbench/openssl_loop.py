"""python3 openssl_loop.py CERT KEY 1.2|1.3 full|resumed COUNT: what a handshake costs a server with
OpenSSL and nothing else, over memory, by Python's ssl module (whose own share is a few microseconds).

Prints CPU microseconds for each session, from its making to its freeing; the client's do not count.
"""
import ssl
import sys
import time


def contexts(cert, key, version):
    only = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(cert, key)
    server.num_tickets = 1
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    for context in (server, client):
        context.minimum_version = context.maximum_version = only
        context.set_ciphers("ECDHE+AESGCM")
    return server, client


def step(side):
    """True when its handshake is complete."""
    try:
        side.do_handshake()
        return True
    except ssl.SSLWantReadError:
        return False


def session(server, client, resume):
    """(nanoseconds of the server, what can be resumed, whether it was)"""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, session=resume)
    step(ours)
    begin = time.thread_time_ns()
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    is_open = step(theirs)
    used = time.thread_time_ns() - begin
    while not is_open or not step(ours):
        step(ours)
        begin = time.thread_time_ns()
        is_open = step(theirs)
        used += time.thread_time_ns() - begin
    try:
        ours.read(1)  # the ticket
    except ssl.SSLWantReadError:
        pass
    fresh, reused = ours.session, ours.session_reused
    begin = time.thread_time_ns()
    del theirs
    return used + time.thread_time_ns() - begin, fresh, reused


def main():
    cert, key, version, kind, count = sys.argv[1:]
    server, client = contexts(cert, key, version)
    _, resume, _ = session(server, client, None)
    resume = resume if kind == "resumed" else None
    session(server, client, resume)
    total = 0
    for _ in range(int(count)):
        used, _, reused = session(server, client, resume)
        assert reused == (kind == "resumed"), "resumption"
        total += used
    print(total / int(count) / 1e3)


main()
