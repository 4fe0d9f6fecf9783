"""What is surprising in James's files: a little file for each trap, and what the converter says.

The numbers are those of docs/MIGRATION.md.
"""
from lib_james2yaml import Folder, accepted, convert, handlers, inside, lmtp, smtp
from lib_mxring import equal, run

CURRENT = "--james-version=current"
CHAIN = "org.apache.james.smtpserver."
FASTFAIL = CHAIN + "fastfail."
BIND = "<bind>127.0.0.1:0</bind>"


def handler(name, inner=""):
    return f'<handler class="{name}">{inner}</handler>'


def test_01_open_relay_of_3_6():
    xml = smtp("<authRequired>false</authRequired>")
    result = convert(xml, "--james-version=3.6")
    equal((result.status, result.server()["authorizedAddresses"]), (2, []), result.errors)
    assert result.says("2: ", "OPEN RELAY", "--keep-open-relay", level="warning"), result.errors
    kept = convert(xml, "--james-version=3.6", "--keep-open-relay")
    equal(kept.server()["authorizedAddresses"], ["0.0.0.0/0"])
    equal(kept.data["engine"], {"allowOpenRelay": True})
    accepted(kept.text, "this is an open relay")
    for version in ("3.7", "3.8", "3.9", "current"):
        result = convert(xml, f"--james-version={version}", "--keep-open-relay")
        assert not result.says("OPEN RELAY"), version
        equal(result.server()["authorizedAddresses"], [], version)


def test_01_authentication_closed_it():
    for text in ("true", "announce"):
        result = convert(smtp(f"<authRequired>{text}</authRequired>"), "--james-version=3.6")
        assert not result.says("OPEN RELAY"), result.errors


def test_02_names_that_james_does_not_read():
    for wrong, right, value, key, wanted in (
            ("connectionTimeout", "connectiontimeout", "5", "connectionTimeout", "5s"),
            ("connectBacklog", "connectionBacklog", "7", "connectionBacklog", "7"),
            ("handler.connectionLimit", "connectionLimit", "9", "connectionLimit", "9"),
            ("maxMessageSize", "maxmessagesize", "1", "maxMessageSize", "1K"),
            ("jmxname", "jmxName", "x", "name", "x"),
            ("ConnectionLimit", "connectionLimit", "9", "connectionLimit", "9"),
            ("conectionLimit", "connectionLimit", "9", "connectionLimit", "9"),
            ("handler.authRequired", "authRequired", "true", "announce",
             "forUnauthorizedAddresses")):
        xml = smtp(f"<{wrong}>{value}</{wrong}>")
        result = convert(xml, CURRENT)
        equal(result.status, 2, result.errors)
        assert result.says(f"3: {wrong}", f"did you mean {right}?", level="warning"), result.errors
        server = result.server()
        assert {**server["auth"], **server}.get(key) != wanted, "ignored, as James does"
        lenient = convert(xml, CURRENT, "--lenient")
        equal(lenient.status, 2, lenient.errors)
        assert lenient.says(f"3: {wrong}", f"applied as {right}", level="warning"), lenient.errors
        server = lenient.server()
        equal({**server["auth"], **server}[key], wanted, wrong)


def test_02_the_right_name_wins():
    for inner in ("<connectBacklog>1</connectBacklog>\n<connectionBacklog>2</connectionBacklog>",
                  "<connectionBacklog>2</connectionBacklog>\n<connectBacklog>1</connectBacklog>"):
        for words in ((), ("--lenient",)):
            result = convert(smtp(inner), CURRENT, *words)
            equal((result.status, result.server()["connectionBacklog"]), (2, "2"), inner)


def test_02_of_two_the_first_counts():
    result = convert(smtp("<jmxName>a</jmxName>\n<jmxName>b</jmxName>"), CURRENT)
    equal((result.status, result.server()["name"]), (2, "a"))
    assert result.says("4: jmxName", "first", "line 3", level="warning"), result.errors


def test_03_hello_name_without_autodetect():
    for attributes in ("", ' autodetect="true"'):
        result = convert(smtp(f"<helloName{attributes}>foo.tld</helloName>"), CURRENT)
        equal((result.status, result.server()["helloName"]), (2, "auto"), result.errors)
        assert result.says("3: helloName", "ignores the name", level="warning"), result.errors
    lenient = convert(smtp("<helloName>foo.tld</helloName>"), CURRENT, "--lenient")
    equal((lenient.status, lenient.server()["helloName"]), (2, "foo.tld"))
    empty = convert(smtp('<helloName autodetect="false"></helloName>'), CURRENT)
    equal(empty.status, 1, "James does not start")
    assert empty.says("3: helloName", "no value", level="error"), empty.errors


def test_04_require_ssl_is_false():
    result = convert(smtp("<auth><announce>always</announce></auth>"), CURRENT)
    equal((result.status, result.server()["auth"]["requireSSL"]), (2, False))
    assert result.says("3: auth", "unsafe", "clear", level="warning"), result.errors
    assert "false in James's code" in result.text, "a comment in the YAML"
    hidden = convert(smtp("<auth><requireSSL>true</requireSSL></auth>"), CURRENT)
    equal(hidden.status, 0, hidden.errors)
    assert hidden.says("3: auth", "only under TLS", level="note"), hidden.errors


def test_05_which_tls_attribute_is_which():
    xml = '<tls socketTLS="{}" startTLS="{}"><privateKey>/k</privateKey>' \
          "<certificates>/c</certificates></tls>"
    for socket, start in ((True, False), (False, True)):
        inner = xml.format(str(socket).lower(), str(start).lower())
        tls = convert(smtp(inner), CURRENT).server()["tls"]
        equal((tls["socketTLS"], tls["startTLS"]), (socket, start))
    one = '<tls startTLS="true"><privateKey>/k</privateKey><certificates>/c</certificates></tls>'
    tls = convert(smtp(one), CURRENT).server()["tls"]
    equal((tls.get("socketTLS"), tls["startTLS"]), (None, True))
    both = convert(smtp(xml.format("true", "true")), CURRENT)
    equal(both.status, 1)
    assert both.says("3: tls", "startTLS is only supported when using plain sockets"), both.errors
    off = convert(smtp(xml.format("false", "false")), CURRENT)
    equal(off.status, 0, "the keys are not even read")
    for name in ("tls", "tls.privateKey", "tls.certificates"):
        assert off.says(f"3: {name}: ", "false", level="note"), off.errors


def test_06_handlers_run_before_the_core():
    """Wherever the loader stands; and it does nothing by itself."""
    loader = handler(CHAIN + "CoreCmdHandlerLoader")
    first = handler(FASTFAIL + "ValidRcptHandler")
    second = handler(FASTFAIL + "MaxRcptHandler", "<maxRcpt>3</maxRcpt>")
    chains = []
    for order in ((loader, first, second), (first, loader, second), (first, second, loader)):
        result = convert(smtp(chain=handlers(*order)), CURRENT)
        equal(result.status, 2, "there is no file of users for ValidRcptHandler")
        assert result.says("handler", "does nothing", level="note"), result.errors
        chains.append(result.server()["handlerchain"])
    equal(chains, [["ValidRcptHandler", {"MaxRcptHandler": {"maxRcpt": "3"}}]] * 3)
    alone = convert(smtp(chain=handlers(loader)), CURRENT)
    equal(alone.server(), convert(smtp(), CURRENT).server(), "the same as an empty chain")


def test_06_the_set_without_auth():
    attribute = f' coreHandlersPackage="{CHAIN}NoAuthCmdHandlerLoader"'
    result = convert(smtp("<auth><required>true</required>\n<announce>always</announce></auth>\n"
                          "<authRequired>true</authRequired>",
                          chain=handlers(attributes=attribute)), CURRENT)
    equal((result.status, result.server()["coreHandlers"]), (2, "noAuth"))
    assert "auth" not in result.server(), "nothing in it would have an effect"
    assert result.says("auth.required", "no effect", level="warning"), result.errors
    assert result.says("4: auth.announce", "left out", level="note"), result.errors
    assert result.says("5: authRequired", "left out", level="note"), result.errors
    assert not result.says("works all the same"), result.errors
    accepted(result.text)
    for inner in ("<auth><announce>sometimes</announce></auth>",
                  "<auth><requireSSL>x</requireSSL></auth>"):
        result = convert(smtp(inner, chain=handlers(attributes=attribute)), CURRENT)
        equal(result.status, 1, "James reads it all the same")
    auth = handler("org.apache.james.protocols.smtp.core.esmtp.AuthCmdHandler")
    result = convert(smtp(chain=handlers(auth, attributes=attribute)), CURRENT)
    equal(result.server()["handlerchain"], ["AuthCmdHandler"])
    assert "auth" in result.server(), "the handler brings it back"
    result = convert(smtp(chain=handlers(auth)), CURRENT)
    equal(result.server()["handlerchain"], [], "it is in the core set already")


def test_06_nobody_logs_in():
    with Folder() as folder:
        attribute = f' coreHandlersPackage="{CHAIN}NoAuthCmdHandlerLoader"'
        result = inside(
            folder.write("s.xml", smtp(chain=handlers(attributes=attribute))),
            folder.write("u.xml", "<usersrepository>\n<verifyFailureDelay>2s</verifyFailureDelay>"
                                  "</usersrepository>"), CURRENT)
        assert result.says("2: verifyFailureDelay", "no SMTP server has AUTH"), result.errors
        assert "auth" not in result.server(), result.text


def test_07_strict_wants_a_from_header():
    for inner in ("", "<verifyIdentity>true</verifyIdentity>"):
        result = convert(smtp(inner), CURRENT)
        equal(result.server()["verifyIdentity"], "strict")
        assert "without From and Sender header" in result.text, "a comment in the YAML"
    result = convert(smtp("<verifyIdentity>true</verifyIdentity>"), "--james-version=3.6")
    equal(result.status, 2)
    assert result.says("3: verifyIdentity", "From", level="warning"), result.errors


def test_07_the_default_changed_twice():
    for version, wanted in (("3.6", "strict"), ("3.7", "disabled"), ("3.8", "disabled"),
                            ("3.9", "strict"), ("current", "strict")):
        result = convert(smtp(), f"--james-version={version}")
        equal(result.server()["verifyIdentity"], wanted, version)
    guess = convert(smtp("<gracefulShutdown>true</gracefulShutdown>"))
    equal((guess.status, guess.server()["verifyIdentity"]), (2, "strict"))
    assert guess.says("verifyIdentity is not set", "--james-version", level="warning"), guess.errors


def test_08_line_limit_is_for_commands():
    result = convert(smtp("<maxLineLength>65536</maxLineLength>"), CURRENT)
    equal((result.status, result.server()["maxLineLength"]), (0, "65536"))
    assert result.says("3: maxLineLength", "content", "maxDataLineLength", level="note")


def test_09_and_10_nothing_in_the_file():
    """Bare line ends, dots, and STARTTLS: no element says anything; the YAML must not either."""
    server = convert(smtp(), CURRENT).server()
    for key in ("bareLfCommands", "compatTexts", "smtpUtf8", "maxDataLineLength"):
        assert key not in server, key


def test_11_timeout():
    result = convert(smtp("<connectiontimeout>360</connectiontimeout>"), CURRENT)
    equal((result.status, result.server()["connectionTimeout"]), (0, "360s"))
    assert result.says("3: connectiontimeout", "421", "second", level="note"), result.errors
    result = convert(smtp("<connectionLimit>2</connectionLimit>"), CURRENT)
    assert result.says("3: connectionLimit", "421", level="note"), result.errors


def test_12_lmtp():
    result = convert(lmtp("<lmtpGreeting>hello</lmtpGreeting>"), CURRENT)
    equal((result.status, result.server("lmtpservers")["lmtpGreeting"]), (2, "hello"))
    assert result.says("3: lmtpGreeting", "never used", level="warning"), result.errors
    result = convert(lmtp("<maxmessagesize>10M</maxmessagesize>"), CURRENT)
    equal(result.server("lmtpservers")["maxMessageSize"], "10M")
    assert result.says("3: maxmessagesize", "James would refuse", level="note"), result.errors


def test_12_lmtp_to_the_pipeline():
    loader = "org.apache.james.lmtpserver.MailetContainerCmdHandlerLoader"
    chain = handlers(handler(loader), attributes=f' coreHandlersPackage="{loader}"')
    tls = '<tls startTLS="true"><privateKey>/k</privateKey><certificates>/c</certificates></tls>'
    result = convert(lmtp(tls, chain=chain), CURRENT)
    server = result.server("lmtpservers")
    equal((result.status, server["coreHandlers"], server.get("tls")), (2, "core", None))
    assert result.says("3: tls", "no STARTTLS", level="warning"), result.errors
    assert result.says("coreHandlersPackage", "pipeline", level="note"), result.errors


def test_13_verdicts_of_message_hooks_in_lmtp():
    limits = handler(CHAIN + "EnforceHeaderLimitationsMessageHook",
                     "<maxLines>500</maxLines><maxSize>64K</maxSize>")
    result = convert(lmtp(chain=handlers(limits)), CURRENT)
    equal(result.status, 2, result.errors)
    assert result.says("handler", "drops its verdict in LMTP", level="warning"), result.errors
    equal(convert(smtp(chain=handlers(limits)), CURRENT).status, 0)


def test_14_hooks_that_cannot_work_in_james():
    for name, inner in (("SpamTrapHandler", "<spamTrapRecip>t@example.com</spamTrapRecip>"),
                        ("ValidRcptMX", "<invalidMXNetworks>127.0.0.0/8</invalidMXNetworks>")):
        result = convert(smtp(chain=handlers(handler(FASTFAIL + name, inner))), CURRENT)
        equal(result.status, 2, name)
        assert result.says("handler", "inverted", level="warning"), result.errors
        assert name in str(result.server()["handlerchain"])
    result = convert(smtp(chain=handlers(handler(
        FASTFAIL + "SPFHandler", "\n<checkAuthNetworks>true</checkAuthNetworks>"))), CURRENT)
    equal(result.status, 2)
    assert result.says("5: ", "checkAuthNetworks", "no code", level="warning"), result.errors
    result = convert(smtp(chain=handlers(handler(FASTFAIL + "ReverseEqualsEhloHeloHandler"))),
                     CURRENT)
    assert result.says("never runs its own test", level="warning"), result.errors


def test_14_header_limits_are_octets():
    xml = "<maxLines>0</maxLines>\n<maxSize>{}</maxSize>"
    name = CHAIN + "EnforceHeaderLimitationsMessageHook"
    result = convert(smtp(chain=handlers(handler(name, xml.format("10")))), CURRENT)
    equal((result.status, result.server()["handlerchain"]), (2, [
        {"EnforceHeaderLimitationsMessageHook": {"maxLines": "500", "maxSize": "10B"}}]))
    assert result.says("5: ", "octets", "KB", level="warning"), result.errors
    result = convert(smtp(chain=handlers(handler(name, xml.format("64K")))), CURRENT)
    equal(result.status, 0, result.errors)
    missing = convert(smtp(chain=handlers(handler(name))), CURRENT)
    equal(missing.status, 1)
    for option in ("maxLines", "maxSize"):
        assert missing.says(option, "missing", level="error"), missing.errors


def test_15_ipv6_prefixes():
    result = convert(smtp("<authorizedAddresses>2001:db8::/64</authorizedAddresses>"), CURRENT)
    equal((result.status, result.server()["authorizedAddresses"]), (2, ["2001:db8::/64"]))
    assert result.says("3: authorizedAddresses", "/64 acts as /56", level="warning"), result.errors
    result = convert(smtp("<authorizedAddresses>2001:db8::%64</authorizedAddresses>"), CURRENT)
    equal(result.server()["authorizedAddresses"], ["2001:db8::/64"])
    result = convert(smtp("<authorizedAddresses>::ffff:192.0.2.1</authorizedAddresses>"), CURRENT)
    equal(result.server()["authorizedAddresses"], ["192.0.2.1/32"])


def test_max_rcpt_without_a_value():
    """James's default refuses every recipient."""
    name = FASTFAIL + "MaxRcptHandler"
    result = convert(smtp(chain=handlers(handler(name))), CURRENT)
    equal(result.status, 1)
    assert result.says("handler", "every recipient", level="error"), result.errors
    result = convert(smtp(chain=handlers(handler(name, "<maxRcpt>5000</maxRcpt>"))), CURRENT)
    equal((result.status, result.server()["maxRecipients"]), (0, "5000"), "mxring's own is 1000")


def test_dkim_spelling():
    inner = "\n<forceCLRF>false</forceCLRF><onlyForSenderDomain>a.b, c.d</onlyForSenderDomain>"
    xml = smtp(chain=handlers(handler(CHAIN + "DKIMHook", inner)))
    result = convert(xml, CURRENT)
    equal(result.status, 2)
    assert result.says("5: ", "forceCLRF", "did you mean forceCRLF?", level="warning")
    lenient = convert(xml, CURRENT, "--lenient")
    equal(lenient.server()["handlerchain"],
          [{"DKIMHook": {"forceCRLF": False, "signatureRequired": True,
                         "onlyForSenderDomain": ["a.b", "c.d"]}}])
    assert result.says("signatureRequired", "true in James's code", level="note"), result.errors
    assert result.says("allowPartialBody", level="note"), result.errors


def test_spamassassin():
    inner = "<spamdHost>{}</spamdHost><spamdPort>7830</spamdPort>" \
            "<spamdRejectionHits>7.5</spamdRejectionHits>"
    old = FASTFAIL + "SpamAssassinHandler"
    new = "org.apache.james.spamassassin.SpamAssassinHandler"
    for host, status in (("127.0.0.1", 0), ("localhost", 0), ("::1", 0), ("spamd.test", 2)):
        result = convert(smtp(chain=handlers(handler(old, inner.format(host)))), CURRENT)
        equal(result.status, status, host)
        equal(result.server()["handlerchain"],
              [{"SpamAssassinHandler": {"spamdRejectionHits": "7.5", "spamdHost": host, "spamdPort": "7830"}}])
        equal(result.says("spamdHost is 'spamd.test'", "numeric", level="warning"), status == 2, host)
    result = convert(smtp(chain=handlers(handler(new))), CURRENT)
    equal(result.status, 0, result.errors)
    assert result.says("localhost, port 783", level="note"), result.errors


def test_proxy_is_believed():
    inner = "<proxyRequired>true</proxyRequired>\n" \
            "<authorizedAddresses>10.0.0.0/8</authorizedAddresses>"
    result = convert(smtp(inner), CURRENT)
    equal(result.status, 2)
    assert result.says("3: proxyRequired", "proxyFrom", level="note"), result.errors
    assert result.says("OPEN RELAY", "PROXY", "dropped", level="warning"), result.errors
    equal(result.server()["authorizedAddresses"], [])
    kept = convert(smtp(inner), CURRENT, "--keep-open-relay")
    equal(kept.server()["authorizedAddresses"], ["10.0.0.0/8"])
    equal(kept.status, 2)


def test_version_contradicts():
    result = convert(smtp("<auth/>" + BIND), "--james-version=3.6")
    equal(result.status, 2)
    assert result.says("3: auth", "3.6", "3.7", level="warning"), result.errors


def test_version_is_a_guess():
    result = convert(smtp())
    equal(result.status, 2)
    assert result.says("version of James", "--james-version", level="warning"), result.errors
    equal(convert(smtp("<maxLineLength>8192</maxLineLength>")).status, 0, "the file shows it")


run(globals())
