"""The converter's command line, its options, and what it writes for each element of a server."""
import os
import stat

from lib_james2yaml import (Folder, accepted, convert, handlers, hooks, inside, lmtp, program, smtp)
from lib_mxring import SOURCE, equal, run

CURRENT = "--james-version=current"
PLAIN = smtp("<bind>127.0.0.1:0</bind>")

# (element, what stands in the YAML)
ROWS = [
    ("<bind>127.0.0.1:25</bind>", {"bind": "127.0.0.1:25"}),
    ("<bind> 127.0.0.1:25 , 127.0.0.2:0 </bind>", {"bind": ["127.0.0.1:25", "127.0.0.2:0"]}),
    ("<bind>localhost:25</bind>", {"bind": "127.0.0.1:25"}),
    ("<bind>[::1]:25</bind>", {"bind": "[::1]:25"}),
    ("", {"bind": "0.0.0.0:25", "maxMessageSize": "0", "authorizedAddresses": [],
          "verifyIdentity": "strict", "coreHandlers": "core", "handlerchain": []}),
    ("<jmxName>mx-25</jmxName>", {"name": "mx-25"}),
    ('<helloName autodetect="false">mx.test</helloName>', {"helloName": "mx.test"}),
    ('<helloName autodetect="FALSE"> mx.test </helloName>', {"helloName": "mx.test"}),
    ("<helloName/>", {"helloName": "auto"}),
    ('<helloName autodetect="yes"/>', {"helloName": "auto"}),
    ("<connectionBacklog>50</connectionBacklog>", {"connectionBacklog": "50"}),
    ("<connectionBacklog>0x10</connectionBacklog>", {"connectionBacklog": "16"}),
    ("<connectiontimeout>360</connectiontimeout>", {"connectionTimeout": "360s"}),
    ("<connectiontimeout>1200</connectiontimeout>",
     {"connectionTimeout": "1200s", "dataTimeout": "1200s"}),
    ("<connectiontimeout>0</connectiontimeout>", {"connectionTimeout": "0s", "dataTimeout": "0s"}),
    ("<connectionLimit>100</connectionLimit>", {"connectionLimit": "100"}),
    ("<connectionLimitPerIP>5</connectionLimitPerIP>", {"connectionLimitPerIP": "5"}),
    ("<maxmessagesize>10</maxmessagesize>", {"maxMessageSize": "10K"}),
    ("<maxmessagesize>10K</maxmessagesize>", {"maxMessageSize": "10K"}),
    ("<maxmessagesize>10240B</maxmessagesize>", {"maxMessageSize": "10K"}),
    ("<maxmessagesize>1000B</maxmessagesize>", {"maxMessageSize": "1000B"}),
    ("<maxmessagesize>1M</maxmessagesize>", {"maxMessageSize": "1M"}),
    ("<maxmessagesize>1g</maxmessagesize>", {"maxMessageSize": "1G"}),
    ("<maxmessagesize>0</maxmessagesize>", {"maxMessageSize": "0"}),
    ("<maxmessagesize>-1</maxmessagesize>", {"maxMessageSize": "0"}),
    ("<maxmessagesize>unlimited</maxmessagesize>", {"maxMessageSize": "0"}),
    ("<maxmessagesize>Unknown</maxmessagesize>", {"maxMessageSize": "0"}),
    ("<maxLineLength>1000</maxLineLength>", {"maxLineLength": "1000"}),
    ("<heloEhloEnforcement>no</heloEhloEnforcement>", {"heloEhloEnforcement": False}),
    ("<addressBracketsEnforcement>T</addressBracketsEnforcement>",
     {"addressBracketsEnforcement": True}),
    ("<gracefulShutdown>off</gracefulShutdown>", {"gracefulShutdown": False}),
    ("<proxyRequired>true</proxyRequired>\n<proxyFirst>false</proxyFirst>",
     {"proxyRequired": True, "proxyFirst": False}),
    ("<smtpGreeting>hi \"there\" \\ &lt;x&gt;: #1</smtpGreeting>",
     {"smtpGreeting": 'hi "there" \\ <x>: #1'}),
    ("<verifyIdentity>TRUE</verifyIdentity>", {"verifyIdentity": "strict"}),
    ("<verifyIdentity>false</verifyIdentity>", {"verifyIdentity": "disabled"}),
    ("<verifyIdentity>Relaxed</verifyIdentity>", {"verifyIdentity": "relaxed"}),
    ("<authRequired>true</authRequired>", {"announce": "forUnauthorizedAddresses"}),
    ("<authRequired>Announce</authRequired>", {"announce": "always"}),
    ("<authRequired>false</authRequired>", {"announce": "never"}),
    ("<authRequired>maybe</authRequired>", {"announce": "never"}),
    ("<auth><announce>ALWAYS</announce><requireSSL>true</requireSSL><required>yes</required>"
     "<plainAuthEnabled>false</plainAuthEnabled></auth>",
     {"announce": "always", "requireSSL": True, "required": True, "plainAuthEnabled": False}),
    ("<auth><saslMechanisms>PlainSaslMechanismFactory, org.x.LoginSaslMechanismFactory, "
     "PlainSaslMechanismFactory</saslMechanisms></auth>", {"saslMechanisms": ["PLAIN", "LOGIN"]}),
    ("<authorizedAddresses>127.*, 10.1.* 192.0.2.0/255.255.255.0,localhost/8 192.0.2.7"
     "</authorizedAddresses>",
     {"authorizedAddresses": ["127.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "192.0.2.7/32"]}),
    ("<authorizedAddresses>10.1.2.3/8 2001:db8:1::5/48</authorizedAddresses>",
     {"authorizedAddresses": ["10.0.0.0/8", "2001:db8:1::/48"]}),
    ("<disabledFeatures>8BITMIME</disabledFeatures><disabledFeatures>PIPELINING"
     "</disabledFeatures>",
     {"disabledFeatures": ["8BITMIME", "PIPELINING", "CHUNKING", "BINARYMIME", "LIMITS"]}),
    ("<bind>${env:ADDRESS}:25</bind>", {"bind": "${env:ADDRESS}:25"}),
    ("<maxmessagesize>${env:SIZE}</maxmessagesize>", {"maxMessageSize": "${env:SIZE}"}),
    ("<connectiontimeout>${sys:james.time-out}</connectiontimeout>",
     {"connectionTimeout": "${env:JAMES_TIME_OUT}"}),
]


def test_elements():
    for inner, wanted in ROWS:
        result = convert(smtp(inner), CURRENT)
        assert result.status in (0, 2), (inner, result.errors)
        server = result.server()
        found = {**server["auth"], **server}
        for key, value in wanted.items():
            equal(found.get(key), value, f"{inner}: {key}\n{result.errors}")
        accepted(result.text)


def test_clean_file_is_clean():
    result = convert(PLAIN, CURRENT)
    equal(result.status, 0, result.errors)
    equal(result.levels(), {"note"}, "only the missing neighbours")
    equal(result.server()["auth"], {
        "announce": "never", "required": False, "requireSSL": False, "plainAuthEnabled": True,
        "saslMechanisms": ["LOGIN", "PLAIN"]}, "James's defaults are written out")
    equal(result.server()["disabledFeatures"], ["CHUNKING", "BINARYMIME", "LIMITS"])


def test_lmtp():
    result = convert(lmtp("<lmtpGreeting>hi</lmtpGreeting><maxmessagesize>10</maxmessagesize>"),
                     CURRENT, name="lmtpserver.xml")
    server = result.server("lmtpservers")
    equal((server["bind"], server["lmtpGreeting"], server["maxMessageSize"]),
          ("0.0.0.0:24", "hi", "10K"))
    assert "auth" not in server and "verifyIdentity" not in server, server
    accepted(result.text)


def test_only_smtp_reads_it():
    for inner in ("<authRequired>true</authRequired>", "<verifyIdentity>x</verifyIdentity>",
                  "<authorizedAddresses>10.0.0.0/8</authorizedAddresses>", "<auth><a/></auth>",
                  "<smtpGreeting>x</smtpGreeting>", "<maxLineLength>9</maxLineLength>",
                  "<disabledFeatures>SIZE</disabledFeatures>"):
        result = convert(lmtp(inner), CURRENT)
        equal(result.status, 2, result.errors)
        assert result.says("3: ", "SMTP only", level="warning"), result.errors


def test_both_generations_and_neighbours_in_one():
    with Folder() as folder:
        result = inside(
            folder.write("smtpserver.xml", smtp(
                "<authRequired>true</authRequired><verifyIdentity>true</verifyIdentity>")),
            folder.write("lmtpserver.xml", lmtp("<gracefulShutdown>true</gracefulShutdown>")),
            folder.write("domainlist.xml", """<domainlist class="x.XMLDomainList">
<domainnames><domainname>Example.com</domainname><domainname>example.org</domainname></domainnames>
<autodetect>false</autodetect><autodetectIP>false</autodetectIP>
<defaultDomain>example.org</defaultDomain></domainlist>"""))
    equal(result.status, 2, "LMTP looks up users, and there are none")
    equal(result.data["domains"], ["example.com", "example.org"])
    equal(result.data["users"], "users")
    equal(result.data["defaultDomain"], "example.org")
    equal((len(result.data["smtpservers"]), len(result.data["lmtpservers"])), (1, 1))
    assert "smtpserver.xml:3:" in result.text, "comments name the file when there are several"
    accepted(result.text)


def test_first_domain_is_the_default():
    result = convert("<domainlist><domainnames><domainname>b.example</domainname>"
                     "<domainname>a.example</domainname></domainnames></domainlist>")
    equal(result.data, {"domains": ["b.example", "a.example"], "defaultDomain": "b.example"})


def test_rewrite_table():
    xml = """<recipientrewritetable class="x">
<recursiveMapping>true</recursiveMapping><mappingLimit>10</mappingLimit>
<mapping>ali@example.com=alice@example.com;bob</mapping>
<mapping>@old.example=domain:example.com</mapping>
<mapping>x@example.com=regex:(.*)@example.com:y</mapping>
</recipientrewritetable>"""
    domains = "<domainlist><domainnames><domainname>example.com</domainname></domainnames>" \
              "</domainlist>"
    with Folder() as folder:
        out = folder.path("mx.yaml")
        result = inside(folder.write("a.xml", xml), folder.write("b.xml", domains), "-o", out)
        equal(result.status, 2, result.errors)
        assert result.says("5: mapping", "regex", level="warning"), result.errors
        with open(out, encoding="utf-8") as file:
            text = file.read()
        assert "\naliases: aliases\n" in text and "\naliasLimit: 10\n" in text, text
        with open(folder.path("aliases"), encoding="utf-8") as file:
            equal([line for line in file.read().splitlines() if not line.startswith("#")],
                  ["ali@example.com: alice@example.com, bob@example.com",
                   "@old.example: @example.com"])


def test_users():
    xml = '<usersrepository name="LocalUsers" class="x">\n<algorithm>MD5</algorithm>\n' \
          "<enableVirtualHosting>false</enableVirtualHosting>\n" \
          "<verifyFailureDelay>2s</verifyFailureDelay></usersrepository>"
    with Folder() as folder:
        result = inside(folder.write("u.xml", xml), folder.write("s.xml", PLAIN), CURRENT)
    equal(result.status, 2, result.errors)
    for line, word in ((1, "class"), (2, "MD5"), (3, "user@domain"), (4, "failureDelay")):
        assert result.says(f"{line}: ", word), (line, result.errors)
    equal(result.server()["auth"]["failureDelay"], "2s")


def test_users_file():
    """Who cannot start without users gets the name of the file; a warning while it is missing."""
    chain = handlers('<handler class="org.apache.james.smtpserver.fastfail.ValidRcptHandler"/>')
    with Folder() as folder:
        path, out = folder.write("a.xml", smtp(chain=chain)), folder.path("mx.yaml")
        result = inside(path, "-o", out, CURRENT)
        equal(result.status, 2)
        assert result.says("users", "check asks for it", level="warning"), result.errors
        folder.write("users", "bob@example.com:{PLAIN}x\n")
        result = inside(path, "-o", out, CURRENT, "--force")
        equal(result.status, 0, result.errors)
        with open(out, encoding="utf-8") as file:
            assert "\nusers: users\n" in file.read()


def test_disabled_server():
    """James checks nothing in it: mistakes are warnings."""
    result = convert(smtp("<connectionLimit>-1</connectionLimit><bind>127.0.0.1</bind>",
                          ' enabled="false"'), CURRENT)
    equal(result.status, 2, result.errors)
    equal(result.server()["enabled"], False)
    equal(result.levels() & {"error"}, set())
    accepted(result.text)


def test_empty_root():
    for root in ("smtpservers", "lmtpservers"):
        result = convert(f"<{root}/>")
        equal((result.status, result.data.get(root)), (0, None), result.errors)
        accepted(result.text)


def test_bare_root():
    result = convert("<smtpserver><handlerchain/></smtpserver>", CURRENT)
    equal(len(result.data["smtpservers"]), 1)


def test_no_use_for_rings():
    """Accepted, checked as James does, and reported."""
    for name, value in (("ioWorkerCount", "14"), ("bossWorkerCount", "2"), ("useEpoll", "true"),
                        ("maxExecutorCount", "8"), ("highWriteBufferWaterMark", "64K"),
                        ("lowWriteBufferWaterMark", "32K")):
        result = convert(smtp(f"<{name}>{value}</{name}>"), CURRENT)
        equal(result.status, 0, result.errors)
        assert result.says(f"3: {name}", "ignored", level="note"), result.errors
        result = convert(smtp(f"<{name}>x</{name}>"), CURRENT)
        equal(result.status, 1, "James would not start")


def test_open_relay():
    for text in ("0.0.0.0/0", "*", "1*", "::/0", "0.0.0.0/1,128.0.0.0/1", "64.0.0.0/3"):
        xml = smtp(f"<authorizedAddresses>{text}, 192.0.2.1</authorizedAddresses>")
        result = convert(xml, CURRENT)
        equal(result.status, 2, text)
        assert result.says("3: authorizedAddresses", "OPEN RELAY", level="warning"), result.errors
        equal(result.server()["authorizedAddresses"], ["192.0.2.1/32"], text)
        accepted(result.text)
        kept = convert(xml, CURRENT, "--keep-open-relay")
        equal((kept.status, kept.data["engine"]), (2, {"allowOpenRelay": True}), text)
        assert len(kept.server()["authorizedAddresses"]) >= 2, kept.text
        accepted(kept.text, "warning: authorizedAddresses: .* may relay: this is an open relay")


def test_open_relay_in_pieces():
    """No item is wide, all together are the world."""
    pieces = ", ".join(f"{n}.0.0.0/8" for n in range(1, 224))
    result = convert(smtp(f"<authorizedAddresses>{pieces}</authorizedAddresses>"), CURRENT)
    equal((result.status, result.server()["authorizedAddresses"]), (2, []), result.errors)
    accepted(result.text)


def test_unknown_names_are_dropped():
    result = convert(smtp("<authorizedAddresses>nosuch.invalid 10.0.0.0/8</authorizedAddresses>"),
                     CURRENT)
    equal((result.status, result.server()["authorizedAddresses"]), (2, ["10.0.0.0/8"]))
    assert result.says("3: ", "nosuch.invalid", level="warning"), result.errors


def test_output_file():
    with Folder() as folder:
        xml, out = folder.write("smtpserver.xml", PLAIN), folder.path("mx.yaml")
        result = program(xml, "-o", out, CURRENT)
        equal((result.status, result.text), (0, ""), result.errors)
        with open(out, encoding="utf-8") as file:
            accepted(file.read())
        equal(stat.S_IMODE(os.stat(out).st_mode) & 0o077, 0o044 & ~os.umask(os.umask(0o022)),
              "no secrets in it")
        again = program(xml, "-o", out, CURRENT)
        equal(again.status, 1)
        assert "--force" in again.errors, again.errors
        equal(program(xml, "-o", out, CURRENT, "--force").status, 0)
        equal(sorted(os.listdir(folder.name)), ["mx.yaml", "smtpserver.xml"], "nothing is left")


def test_refused_writes_nothing():
    with Folder() as folder:
        out = folder.path("mx.yaml")
        result = program(folder.write("a.xml", smtp("<connectionLimit>-1</connectionLimit>")),
                         "-o", out)
        equal((result.status, result.text, os.path.exists(out)), (1, "", False))
        assert any("nothing is written" in line for line in result.other), result.errors


def a_handler(name, inner=""):
    package = "org.apache.james." + hooks.HOOKS[name].packages[0] if name in hooks.HOOKS else \
        "org.apache.james.protocols.smtp.core.esmtp"
    return f'<handler class="{package}.{name}">{inner}</handler>'


def test_handlers():
    """What James's handlers are told comes out under the same names, and mxring takes it."""
    entries = "<priorityEntry><domain>example.com</domain><priority>-1</priority></priorityEntry>"
    rows = (
        ("MaxRcptHandler", "<maxRcpt>7</maxRcpt>", {"maxRcpt": "7"}),
        ("MaxUnknownCmdHandler", "", None),
        ("EnforceHeaderLimitationsMessageHook", "<maxLines>0</maxLines><maxSize>32K</maxSize>",
         {"maxLines": "500", "maxSize": "32K"}),
        ("MaxConnectionLifespanHandler", "<duration>30s</duration>", {"duration": "30s"}),
        ("SetMimeHeaderHandler", "<headername>X-A</headername><headervalue>b c</headervalue>",
         {"headername": "X-A", "headervalue": "b c"}),
        ("SetMailAttributeMessageHook", "<name>a</name><value>b</value>",
         {"name": "a", "value": "b"}),
        ("SpamTrapHandler", "<spamTrapRecip>a@example.com</spamTrapRecip>"
         "<spamTrapRecip>b@example.com</spamTrapRecip><blockTime>5000</blockTime>",
         {"spamTrapRecip": ["a@example.com", "b@example.com"], "blockTime": "5s"}),
        ("AllowedUnauthenticatedSender", '<allowedSenders><allowedSender fromIps="127.0.0.1">'
         "a@example.com</allowedSender></allowedSenders>",
         {"allowedSenders": [{"sender": "a@example.com", "fromIps": ["127.0.0.1/32"]}]}),
        ("MailPriorityHandler", f"<priorityEntries>{entries}</priorityEntries>",
         {"priorityEntries": [{"domain": "example.com", "priority": "-1"}]}),
        ("JDBCGreylistHandler", "<tempBlockTime>3600000</tempBlockTime>"
         "<unseenLifeTime>4 hours</unseenLifeTime><whitelistedNetworks>127.0.0.1/8"
         "</whitelistedNetworks><sqlFile>file://conf/sqlResources.xml</sqlFile>",
         {"tempBlockTime": "3600s", "unseenLifeTime": "14400s",
          "whitelistedNetworks": ["127.0.0.0/8"]}),
        ("AuthCmdHandler", "", None),
        ("AuthRequiredHook", "", None),
    )
    chain = handlers(*(a_handler(name, inner) for name, inner, _ in rows),
                     attributes=' coreHandlersPackage="org.apache.james.smtpserver.'
                     'NoAuthCmdHandlerLoader"')
    result = convert(smtp(chain=chain))
    assert result.status in (0, 2), result.errors
    equal(result.server()["handlerchain"],
          [name if options is None else {name: options} for name, _, options in rows])
    accepted(result.text)


def test_handlers_that_are_not_there():
    """Left out with a word, or refused with the reason; nothing of theirs gets into the chain."""
    for name in ("TestMtaSts", "SupressDuplicateRcptHandler"):
        result = convert(smtp(chain=handlers(a_handler(name))))
        equal((result.status, result.server()["handlerchain"]), (2, []), name)
        assert result.says(name, "left out", level="warning"), result.errors
    for name, why in (("POP3BeforeSMTPHandler", "no POP3 server"),
                      ("CrowdsecEhloHook", "CrowdSec")):
        xml = smtp(chain=handlers(a_handler(name)))
        result = convert(xml)
        equal(result.status, 1, name)
        assert result.says(name, why, level="error"), result.errors
        result = convert(xml, "--skip-unknown")
        equal((result.status, result.server()["handlerchain"]), (2, []), name)
        assert result.says(name, why, level="warning"), result.errors


def test_passwords():
    """Kept in the YAML, which is for its owner only; never in the report."""
    account = "<accounts><account><username>bob@example.com</username><passwords>" \
              "<password>pass-word-1</password></passwords></account></accounts>"
    chain = handlers('<handler class="org.apache.james.smtpserver.ConfigurationAuthHook">'
                     f"{account}</handler>")
    with Folder() as folder:
        out = folder.path("mx.yaml")
        result = inside(folder.write("a.xml", smtp(chain=chain)), "-o", out, CURRENT)
        assert result.status in (0, 2), result.errors
        equal(stat.S_IMODE(os.stat(out).st_mode), 0o600)
        with open(out, encoding="utf-8") as file:
            assert "pass-word-1" in file.read()
        assert "pass-word-1" not in result.errors, result.errors


def test_secrets_never_leak():
    """Wherever they stand, and whatever is wrong with them."""
    for inner in ("<secret>pa$$1</secret>", "<tls><secret>pa$$1</secret></tls>",
                  '<tls startTLS="true"><keystore>x</keystore><secret>pa$$1</secret></tls>',
                  '<tls startTLS="true"><keystore>x</keystore><secert>pa$$1</secert></tls>',
                  '<tls startTLS="true"><keystore>x</keystore><secret>${pa$$1}</secret></tls>',
                  '<tls startTLS="true"><keystore>x</keystore><secret>${pa$$1</secret></tls>',
                  '<tls startTLS="true"><privateKey>x</privateKey><certificates>x</certificates>'
                  "<secret>file:pa$$1</secret></tls>",
                  "<auth><oidc><introspection><auth>pa$$1</auth></introspection></oidc></auth>"):
        for words in ((), ("--lenient",)):
            result = convert(smtp(inner), *words)
            assert "pa$$1" not in result.errors, (inner, result.errors)


def test_usage():
    for words in ((), ("--james-version", "2.0", "x.xml"), ("--nonsense", "x.xml")):
        result = program(*words)
        equal((result.status, result.text), (1, ""), "refused, nothing is written")
        assert "usage" in result.errors
    result = program("--help")
    equal(result.status, 0)
    for word in ("--lenient", "--skip-unknown", "--keep-open-relay", "--force", "--james-version"):
        assert word in result.text, word


def test_documented():
    with open(f"{SOURCE}/docs/MIGRATION.md", encoding="utf-8") as file:
        text = file.read()
    for word in ("--lenient", "--skip-unknown", "--keep-open-relay", "--force", "--james-version",
                 "--james-home"):
        assert word in text, word


run(globals())
