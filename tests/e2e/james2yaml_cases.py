"""The acceptance cases of group A (configuration) by number, as James's XML: what the converter makes of
it, says of it, or refuses. What mxring does with the YAML is in config_cases.py under the same numbers."""
from lib_james2yaml import accepted, convert, handlers, lmtp, smtp
from lib_mxring import equal, run

CURRENT = "--james-version=current"
CORE = "org.apache.james.smtpserver."
USERS = "org.apache.james.smtpserver.fastfail.ValidRcptHandler"


def server(inner="", chain="<handlerchain/>", attributes="", kind=smtp, is_fine=True):
    """The first server of the YAML that mxring takes, too."""
    name = "smtpserver" if kind is smtp else "lmtpserver"
    result = convert(kind(inner, attributes, chain), CURRENT, name=name + ".xml")
    assert result.status in (0, 2), result.errors
    if is_fine:
        accepted(result.text)
    return result.server(name + "s"), result


def refused(inner, *words, chain="<handlerchain/>", kind=smtp):
    result = convert(kind(inner, chain=chain), CURRENT)
    equal((result.status, result.text), (1, ""), inner)
    assert result.says(*words, level="error"), (words, result.errors)


def test_1_no_server_at_all():
    for xml in ("<smtpservers/>", "<lmtpservers></lmtpservers>"):
        result = convert(xml, CURRENT)
        equal(result.status, 0, result.errors)
        assert not result.data.get("smtpservers") and not result.data.get("lmtpservers"), result.text
        accepted(result.text)


def test_3_bind_is_absent():
    equal(server()[0]["bind"], "0.0.0.0:25")
    equal(server(kind=lmtp)[0]["bind"], "0.0.0.0:24")


def test_5_no_port():
    refused("<bind>127.0.0.1</bind>", "bind", "port")


def test_6_port_0():
    equal(server("<bind>127.0.0.1:0</bind>")[0]["bind"], "127.0.0.1:0")


def test_7_hello_name_without_autodetect():
    found, result = server("<helloName>foo.tld</helloName>")
    equal(found["helloName"], "auto")
    assert result.says("helloName", "autodetect", level="warning"), result.errors


def test_8_hello_name():
    equal(server('<helloName autodetect="false">foo.tld</helloName>')[0]["helloName"], "foo.tld")


def test_11_spelt_as_on_the_old_site():
    found, result = server("<connectionTimeout>5</connectionTimeout><connectBacklog>5</connectBacklog>")
    equal((found.get("connectionTimeout", "300s"), found.get("connectionBacklog", "200")), ("300s", "200"))
    for wrong, right in (("connectionTimeout", "connectiontimeout"), ("connectBacklog", "connectionBacklog")):
        assert result.says(wrong, right, level="warning"), result.errors


def test_13_a_negative_limit():
    refused("<connectionLimit>-1</connectionLimit>", "connectionLimit", "-1")
    refused("<connectionLimitPerIP>-1</connectionLimitPerIP>", "connectionLimitPerIP", "-1")


def test_14_both_ways_of_tls():
    refused('<tls socketTLS="true" startTLS="true"><privateKey>k</privateKey><certificates>c</certificates></tls>',
            "startTLS is only supported when using plain sockets")


def test_16_no_tls_needs_no_keystore():
    found, result = server('<tls socketTLS="false" startTLS="false"><keystore>file://conf/nosuch</keystore></tls>')
    tls = found.get("tls") or {}
    assert not tls.get("startTLS") and not tls.get("socketTLS"), found
    assert not any(level == "error" for _, _, level, _, _ in result.entries), result.errors


def test_17_sizes():
    for text, size in (("10", "10K"), ("10K", "10K"), ("10240B", "10K"), ("1M", "1M"), ("1g", "1G"), ("0", "0"),
                       ("-1", "0"), ("unlimited", "0")):
        equal(server(f"<maxmessagesize>{text}</maxmessagesize>")[0]["maxMessageSize"], size, text)


def test_19_units_of_lmtp():
    found, result = server("<maxmessagesize>10M</maxmessagesize>", kind=lmtp)
    equal(found["maxMessageSize"], "10M")
    assert result.says("maxmessagesize", "James", level="note"), result.errors


def test_20_length_of_a_line():
    for text in ("999", "1048577"):
        refused(f"<maxLineLength>{text}</maxLineLength>", "maxLineLength", "1000", "1048576")
    equal(server("<maxLineLength>1000</maxLineLength>")[0]["maxLineLength"], "1000")


def test_21_auth_required():
    for text, announce in (("true", "forUnauthorizedAddresses"), ("announce", "always"), ("false", "never"),
                           ("maybe", "never")):
        equal(server(f"<authRequired>{text}</authRequired>")[0]["auth"]["announce"], announce, text)


def test_23_announce():
    refused("<auth><announce>sometimes</announce></auth>", "never", "always", "forUnauthorizedAddresses")


def test_24_identity():
    for text, word in (("TRUE", "strict"), ("false", "disabled"), ("Relaxed", "relaxed")):
        equal(server(f"<verifyIdentity>{text}</verifyIdentity>")[0]["verifyIdentity"], word, text)
    equal(server()[0]["verifyIdentity"], "strict")
    refused("<verifyIdentity>loose</verifyIdentity>", "strict", "relaxed", "disabled")


def test_27_no_handlerchain():
    refused("", "handlerchain", chain="")
    result = convert(smtp("", ' enabled="false"', ""), CURRENT)
    assert result.status in (0, 2), result.errors


def test_28_the_loader_is_no_handler():
    loader = f'<handler class="{CORE}CoreCmdHandlerLoader"/>'
    equal(server(chain=handlers(loader))[0], server(chain=handlers())[0])
    equal(server()[0]["handlerchain"], [])


def test_29_order_of_handlers():
    loader, users = f'<handler class="{CORE}CoreCmdHandlerLoader"/>', f'<handler class="{USERS}"/>'
    before, _ = server(chain=handlers(users, loader))
    equal(before["handlerchain"], ["ValidRcptHandler"])
    equal(server(chain=handlers(loader, users))[0], before)


def test_30_without_auth():
    chain = handlers(attributes=f' coreHandlersPackage="{CORE}NoAuthCmdHandlerLoader"')
    found, result = server("<auth><required>true</required></auth>", chain)
    equal(found["coreHandlers"], "noAuth")
    assert result.says("required", "no effect", level="warning"), result.errors


def test_32_a_handler_without_a_class():
    refused("", "handler", "class", chain=handlers("<handler/>"))


def test_36_bare_root():
    result = convert("<smtpserver><bind>127.0.0.1:0</bind><handlerchain/></smtpserver>", CURRENT)
    equal([found["bind"] for found in result.data["smtpservers"]], ["127.0.0.1:0"])
    accepted(result.text)


def test_37_the_same_network():
    for text in ("127.*", "127.0.0.0/8", "127.0.0.0/255.0.0.0", "localhost/8"):
        found, _ = server(f"<authorizedAddresses>{text}</authorizedAddresses>")
        equal(found["authorizedAddresses"], ["127.0.0.0/8"], text)


def test_39_open_relay():
    for text in ("0.0.0.0/0", "*"):
        found, result = server(f"<authorizedAddresses>{text}</authorizedAddresses>")
        equal(found["authorizedAddresses"], [], text)
        assert result.says("OPEN RELAY", level="warning"), result.errors


def test_41_an_unknown_name():
    found, result = server("<authorizedAddresses>nosuch.invalid, 10.0.0.1</authorizedAddresses>")
    equal(found["authorizedAddresses"], ["10.0.0.1/32"])
    assert result.says("nosuch.invalid", "dropped", level="warning"), result.errors


run(globals())
