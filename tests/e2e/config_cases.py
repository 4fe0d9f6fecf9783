"""The acceptance cases of group A (configuration) that are the server's own, by number: what a YAML
file says, `mxring check` and a running server do. Those of the converter are in james2yaml*.py."""
import os
import re
import socket

from lib_mxring import Client, equal, mxring, run, serve, write_config

HEAD = "domains: [example.com]\nspool: {durability: none}\n"


def smtp(options="", chain="[]"):
    return HEAD + f"smtpservers:\n  - {{handlerchain: {chain}, bind: '127.0.0.1:0', {options}}}\n"


def lmtp(options=""):
    return smtp(options).replace("smtp", "lmtp")


def dump(text):
    result = mxring("check", "--dump", "-c", write_config(text))
    equal(result.returncode, 0, result.stderr)
    return result.stdout


def refused(text, *words):
    path = write_config(text)
    result = mxring("check", "-c", path)
    equal(result.returncode, 1, text)
    for word in words:
        assert word in result.stderr, (word, result.stderr)
    equal(mxring("serve", "-c", path).returncode, 78)


def value(text, key):
    return re.search(rf"^ *-? *{key}: (.*)$", dump(text), re.M)[1]


def test_1_no_server_at_all():
    equal(dump(HEAD + "smtpservers: []\n").count("handlerchain"), 0)
    equal(dump("").count("handlerchain"), 0)


def test_3_bind_is_absent():
    server = HEAD + "smtpservers:\n  - handlerchain: []\nlmtpservers:\n  - handlerchain: []\n"
    equal(re.findall(r'"(0\.0\.0\.0:\d+)"', dump(server)), ["0.0.0.0:25", "0.0.0.0:24"])


def test_5_no_port():
    refused(smtp().replace("127.0.0.1:0", "127.0.0.1"), "bind '127.0.0.1' has no port: write ADDRESS:PORT")


def test_6_port_0():
    with serve(write_config(smtp())) as server:
        assert server.addresses[0][1] > 0
        with Client(server.addresses[0]) as client:
            client.command("NOOP", "250")
        server.stop()


def test_7_hello_name_of_the_machine():
    name = socket.gethostname()
    for options in ("", "helloName: auto"):
        with serve(write_config(smtp(options))) as server, Client(server.addresses[0]) as client:
            client.command("QUIT", f"221 2.0.0 {name} ")
            server.stop()


def test_8_hello_name():
    with serve(write_config(smtp("helloName: foo.tld"))) as server:
        with Client(server.addresses[0]) as client:
            client.command("QUIT", "221 2.0.0 foo.tld Service closing transmission channel\r\n")
        server.stop()


def test_11_what_james_would_not_read():
    refused(smtp("connectiontimeout: 5"), "did you mean 'connectionTimeout'")
    refused(smtp("connectBacklog: 5"), "did you mean 'connectionBacklog'")
    equal(value(smtp(), "connectionTimeout"), "300s")
    equal(value(smtp(), "connectionBacklog"), "200")


def test_13_a_negative_limit():
    refused(smtp("connectionLimit: -1"), "connectionLimit must be between 0 and 2147483647")
    refused(smtp("connectionLimitPerIP: -1"), "connectionLimitPerIP must be between 0 and 2147483647")


def test_17_sizes():
    for text, octets in (("10", 10240), ("10K", 10240), ("10240B", 10240), ("1M", 1048576),
                         ("1g", 1073741824), ("0", None), ("unlimited", None)):
        with serve(write_config(smtp(f"maxMessageSize: {text}"))) as server:
            with Client(server.addresses[0]) as client:
                reply = client.command("EHLO c.test", "250")
            size = re.search(r"SIZE (\d+)", reply)
            equal(int(size[1]) if size else None, octets, text)
            server.stop()
    refused(smtp("maxMessageSize: -1"), "maxMessageSize must be between 0 and 1024G")


def test_19_units_of_lmtp():
    equal(value(lmtp("maxMessageSize: 10M"), "maxMessageSize"), "10M")


def test_20_length_of_a_line():
    for text in ("999", "1048577"):
        refused(smtp(f"maxLineLength: {text}"), "maxLineLength must be between 1000 and 1048576")
    equal(value(smtp("maxLineLength: 1000"), "maxLineLength"), "1000")


def test_27_no_handlerchain():
    text = smtp().replace("handlerchain: [], ", "")
    refused(text, "handlerchain is missing")
    equal(mxring("check", "-c", write_config(text.replace("bind", "enabled: false, bind"))).returncode, 0)


def test_37_the_same_network():
    networks = ("127.*", "127.0.0.0/8", "127.0.0.0/255.0.0.0", "localhost/8")
    dumps = {dump(smtp(f"authorizedAddresses: '{network}'")) for network in networks}
    equal(len(dumps), 1)
    assert '"127.0.0.0/8"' in dumps.pop()


def test_39_open_relay():
    for network in ("0.0.0.0/0", "*", "::/0"):
        text = smtp(f"authorizedAddresses: '{network}'")
        refused(text, "an open relay does not start without engine: {allowOpenRelay: true}")
        result = mxring("check", "-c", write_config("engine: {allowOpenRelay: true}\n" + text))
        equal(result.returncode, 0)
        assert "this is an open relay" in result.stderr


def test_41_a_name_in_the_list():
    refused(smtp("authorizedAddresses: [10.0.0.1, nosuch.invalid]"), "'nosuch.invalid' is not a network")


def test_85_87_options_of_a_hook():
    users = write_config("")
    os.chmod(users, 0o600)
    chain = "[ValidRcptHandler: {recipientRewriteTableCheck: %s}]"
    for word in ("mappingExists", "anyMappingValid", "allMappingsValid"):
        assert f"recipientRewriteTableCheck: {word}" in dump(f"users: {users}\n" + smtp("", chain % word))
    refused(f"users: {users}\n" + smtp("", chain % "foo"), "mappingExists, anyMappingValid, allMappingsValid")


run(globals())
