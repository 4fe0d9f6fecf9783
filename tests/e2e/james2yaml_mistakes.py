"""Planted mistakes: each gives a line with its position, its element and what is accepted."""
import os

from lib_james2yaml import Folder, handlers, inside, lmtp, smtp
from lib_mxring import equal, run

CURRENT = "--james-version=current"
JAMES = "org.apache.james."
FASTFAIL = JAMES + "smtpserver.fastfail."
TLS = "<privateKey>/k</privateKey><certificates>/c</certificates>"

# (inside a server, status, line, words of the report's line): the server is in line 2
ELEMENTS = [
    # values that James does not start with
    ("<bind>127.0.0.1</bind>", 1, 3, ("bind", "no port")),
    ("<bind>127.0.0.1:x</bind>", 1, 3, ("bind", "0..65535")),
    ("<bind>127.0.0.1:65536</bind>", 1, 3, ("bind", "0..65535")),
    ("<bind>127.0.0.1:-1</bind>", 1, 3, ("bind", "0..65535")),
    ("<bind>127.0.0.1:²</bind>", 1, 3, ("bind", "0..65535")),
    ("<bind>1.2.3:25</bind>", 1, 3, ("bind", "not an address")),
    ("<bind>1.2.3.400:25</bind>", 1, 3, ("bind", "not an address")),
    ("<bind>::1:25</bind>", 1, 3, ("bind", "no port")),
    ("<bind>nosuch.invalid:25</bind>", 1, 3, ("bind", "not known")),
    ("<bind>:25</bind>", 1, 3, ("bind", "not known")),
    ("<bind/>", 1, 3, ("bind",)),
    ("<bind>127.0.0.1:25,</bind>", 1, 3, ("bind", "no port")),
    ("<bind>127.0.0.1:25, 127.0.0.1:25</bind>", 1, 3, ("bind", "already bound")),
    ("<connectionBacklog>many</connectionBacklog>", 1, 3, ("connectionBacklog", "whole number")),
    ("<connectionBacklog>1.5</connectionBacklog>", 1, 3, ("connectionBacklog", "whole number")),
    ("<connectionBacklog/>", 1, 3, ("connectionBacklog", "no value")),
    ("<connectiontimeout>5m</connectiontimeout>", 1, 3, ("connectiontimeout", "whole number")),
    ("<connectiontimeout>-5</connectiontimeout>", 1, 3, ("connectiontimeout", "negative")),
    ("<connectiontimeout>99999999999</connectiontimeout>", 1, 3, ("connectiontimeout", "between")),
    ("<connectionLimit>-1</connectionLimit>", 1, 3, ("connectionLimit", "negative")),
    ("<connectionLimitPerIP>-1</connectionLimitPerIP>", 1, 3, ("connectionLimitPerIP", "negative")),
    ("<maxmessagesize>10KB</maxmessagesize>", 1, 3, ("maxmessagesize", "64K")),
    ("<maxmessagesize>1.5M</maxmessagesize>", 1, 3, ("maxmessagesize", "64K")),
    ("<maxmessagesize>10 M</maxmessagesize>", 1, 3, ("maxmessagesize", "64K")),
    ("<maxmessagesize/>", 1, 3, ("maxmessagesize", "no value")),
    ("<maxLineLength>999</maxLineLength>", 1, 3,
     ("maxLineLength must be between 1000 and 1048576",)),
    ("<maxLineLength>1048577</maxLineLength>", 1, 3,
     ("maxLineLength must be between 1000 and 1048576",)),
    ("<heloEhloEnforcement>perhaps</heloEhloEnforcement>", 1, 3, ("true or false",)),
    ("<addressBracketsEnforcement>2</addressBracketsEnforcement>", 1, 3, ("true or false",)),
    ("<gracefulShutdown>1</gracefulShutdown>", 1, 3, ("true or false",)),
    ("<proxyRequired>always</proxyRequired>", 1, 3, ("true or false",)),
    ("<proxyFirst>x</proxyFirst>", 1, 3, ("true or false",)),
    ("<useEpoll>x</useEpoll>", 1, 3, ("useEpoll", "true or false")),
    ("<ioWorkerCount>x</ioWorkerCount>", 1, 3, ("ioWorkerCount", "whole number")),
    ("<highWriteBufferWaterMark>x</highWriteBufferWaterMark>", 1, 3, ("64K",)),
    ("<verifyIdentity>loose</verifyIdentity>", 1, 3, ("strict", "relaxed", "disabled")),
    ("<verifyIdentity/>", 1, 3, ("verifyIdentity", "no value")),
    ('<helloName autodetect="false"/>', 1, 3, ("helloName", "no value")),
    ('<helloName autodetect="maybe">x</helloName>', 1, 3, ("helloName@autodetect",)),
    ('<helloName autodetect="false">a_b.example</helloName>', 1, 3, ("helloName", "host name")),
    ('<helloName autodetect="${env:X}">a.example</helloName>', 1, 3, ("helloName", "auto")),
    ("<smtpGreeting>grüezi</smtpGreeting>", 1, 3, ("smtpGreeting", "printable ASCII")),
    ("<smtpGreeting>two\nlines</smtpGreeting>", 1, 3, ("smtpGreeting", "one line")),
    (f"<smtpGreeting>{'x' * 501}</smtpGreeting>", 1, 3, ("smtpGreeting", "500")),
    (f"<jmxName>{'x' * 65}</jmxName>", 1, 3, ("jmxName", "64")),
    ("<auth><announce>sometimes</announce></auth>", 1, 3,
     ("auth.announce", "never", "always", "forUnauthorizedAddresses")),
    ("<auth>\n<requireSSL>x</requireSSL></auth>", 1, 4, ("auth.requireSSL", "true or false")),
    ("<auth>\n<plainAuthEnabled/></auth>", 1, 4, ("auth.plainAuthEnabled", "no value")),
    ("<auth><saslMechanisms>FooFactory</saslMechanisms></auth>", 1, 3,
     ("auth.saslMechanisms", "FooFactory", "PlainSaslMechanismFactory")),
    ("<authorizedAddresses>10.0.0.0/33</authorizedAddresses>", 1, 3, ("prefix length", "32")),
    ("<authorizedAddresses>10.0.0.0/x</authorizedAddresses>", 1, 3, ("prefix length",)),
    ("<authorizedAddresses>10.0.0.0/255.0.255.0</authorizedAddresses>", 1, 3, ("mask",)),
    ("<authorizedAddresses>10.0.0.256</authorizedAddresses>", 1, 3, ("10.0.0.256",)),
    ("<authorizedAddresses>2001:db8::*</authorizedAddresses>", 1, 3, ("wildcards in IPv6",)),
    ("<authorizedAddresses>2001:db8::/129</authorizedAddresses>", 1, 3, ("above 128",)),
    ("<authorizedAddresses>2001:zz::/64</authorizedAddresses>", 1, 3, ("2001:zz::/64",)),
    ("<authorizedAddresses>a b!c</authorizedAddresses>", 1, 3, ("b!c",)),
    ("<authorizedAddresses>300.*</authorizedAddresses>", 1, 3, ("above 255",)),
    # references
    ("<jmxName>${const:java.X}</jmxName>", 1, 3, ("${const:java.X}", "env and sys")),
    ("<jmxName>${smtpserver.bind}</jmxName>", 1, 3, ("cannot be converted",)),
    ("<jmxName>${env:a-b}</jmxName>", 1, 3, ("name of the variable",)),
    ("<jmxName>${env:}</jmxName>", 1, 3, ("name of the variable",)),
    ("<jmxName>${env:X</jmxName>", 1, 3, ("${",)),
    ("<jmxName>${env:X:-y}</jmxName>", 2, 3, ("default", "must be set")),
    ("<jmxName>${sys:a.b}</jmxName>", 2, 3, ("A_B", "set it")),
    # TLS
    (f'<tls socketTLS="true" startTLS="true">{TLS}</tls>', 1, 3,
     ("startTLS is only supported when using plain sockets",)),
    ('<tls startTLS="true"/>', 1, 3,
     ("keystore or (privateKey and certificates) needs to get configured",)),
    ('<tls startTLS="true"><privateKey>/k</privateKey></tls>', 1, 3, ("needs to get configured",)),
    (f'<tls startTLS="perhaps">{TLS}</tls>', 1, 3, ("tls@startTLS", "true or false")),
    (f'<tls starttls="true">{TLS}</tls>', 2, 3, ("tls@starttls", "did you mean startTLS?")),
    ('<tls startTLS="true"><keystore/></tls>', 1, 3, ("tls.keystore", "no value")),
    ('<tls startTLS="true"><keystore>x</keystore><keystoreType>P12</keystoreType></tls>', 1, 3,
     ("tls.keystoreType", "JKS", "PKCS12")),
    (f'<tls startTLS="true">{TLS}<supportedProtocols><protocol>TLS1.3</protocol>'
     "</supportedProtocols></tls>", 1, 3, ("protocol", "TLSv1.2, TLSv1.3", "did you mean TLSv1.3")),
    (f'<tls startTLS="true">{TLS}<supportedProtocols><protocol>TLSv1</protocol>'
     "</supportedProtocols></tls>", 1, 3, ("supportedProtocols", "no protocol")),
    (f'<tls startTLS="true">{TLS}<supportedCipherSuites><cipherSuite>AES</cipherSuite>'
     "</supportedCipherSuites></tls>", 1, 3, ("cipherSuite", "not the name")),
    (f'<tls startTLS="true">{TLS}<supportedCipherSuites><cipherSuite>'
     "TLS_RSA_WITH_AES_128_CBC_SHA</cipherSuite></supportedCipherSuites></tls>", 1, 3,
     ("supportedCipherSuites", "no cipher suite")),
    (f'<tls startTLS="true">{TLS}<sessionCache><timeout>soon</timeout></sessionCache></tls>', 1, 3,
     ("sessionCache.timeout", "duration")),
    # what James ignores, and nobody should
    ("<conectionLimit>5</conectionLimit>", 2, 3, ("did you mean connectionLimit?",)),
    ("<CONNECTIONLIMIT>5</CONNECTIONLIMIT>", 2, 3, ("did you mean connectionLimit?",)),
    ("<heloName>x</heloName>", 2, 3, ("did you mean helloName?",)),
    ("<authorisedAddresses>10.0.0.0/8</authorisedAddresses>", 2, 3,
     ("did you mean authorizedAddresses?",)),
    ("<maxMessageSize>5</maxMessageSize>", 2, 3, ("did you mean maxmessagesize?",)),
    ("<nonsense/>", 2, 3, ("nonsense", "ignored")),
    ("<trafficShaping><a>1</a></trafficShaping>", 2, 3, ("trafficShaping", "IMAP")),
    ("<lmtpGreeting>x</lmtpGreeting>", 2, 3, ("lmtpGreeting", "LMTP only")),
    ("<auth>\n<anounce>always</anounce></auth>", 2, 4, ("did you mean announce?",)),
    ("<tls>\n<privatekey>x</privatekey></tls>", 0, 4, ("tls.privatekey", "not read")),
    (f'<tls startTLS="true">\n{TLS}<privatekey>x</privatekey></tls>', 2, 4,
     ("did you mean privateKey?",)),
    ("<bind port='1'>127.0.0.1:0</bind>", 2, 3, ("bind@port", "ignored")),
    ("<bind>127.0.0.1:0<x/></bind>", 2, 3, ("bind.x", "ignored")),
    ("<auth>yes</auth>", 2, 3, ("auth", "text", "no effect")),
    ("<jmxName>a</jmxName><jmxName>b</jmxName>", 2, 3, ("first", "ignored")),
    ("<connectionLimit>five</connectionLimit>", 2, 3, ("not a number", "no limit")),
    ("<connectionBacklog>0</connectionBacklog>", 2, 3, ("1..65535",)),
    ("<connectiontimeout>99999999</connectiontimeout>", 2, 3, ("86400",)),
    ("<disabledFeatures>PIPELINING,8BITMIME</disabledFeatures>", 2, 3, ("does not split",)),
    ("<disabledFeatures>pipelining</disabledFeatures>", 2, 3, ("did you mean PIPELINING?",)),
    ("<disabledFeatures>STARTTLS</disabledFeatures>", 2, 3, ("cannot hide",)),
    ("<disabledFeatures>FOO</disabledFeatures>", 2, 3, ("FOO", "PIPELINING")),
    ("<authRequired>yes</authRequired>", 2, 3, ("same as false",)),
    ("<authRequired>true</authRequired><auth><announce>never</announce></auth>", 2, 3,
     ("authRequired", "auth.announce is there")),
    ("<auth><oidc><claim>x</claim></oidc></auth>", 2, 3, ("oidc.claim", "left out")),
    ("<auth><gssapi/></auth>", 2, 3, ("auth.gssapi", "left out")),
]

# (handler chain from line 4 on, status, line, words)
CHAINS = [
    ("", 1, 2, ("no handlerchain", "exactly one")),
    ("<handlerchain/><handlerchain/>", 1, 4, ("more than one handlerchain",)),
    (handlers("<handler/>"), 1, 4, ("handler", "no class")),
    (handlers('<handler class=" "/>'), 1, 4, ("handler", "no class")),
    (handlers('<handler class="com.example.Mine"/>'), 1, 4, ("com.example.Mine", "--skip-unknown")),
    (handlers(f'<handler class="{JAMES}smtpserver.ValidRcptHandler"/>'), 1, 4,
     (f"did you mean {FASTFAIL}ValidRcptHandler?",)),
    (handlers('<handler class="ValidRcptHandler"/>'), 1, 4, ("did you mean",)),
    (handlers(f'<handler class="{FASTFAIL}ValidRcptHandeler"/>'), 1, 4, ("did you mean",)),
    (handlers("<hander/>"), 2, 4, ("did you mean handler?",)),
    (handlers(f'<handler clas="{FASTFAIL}ValidRcptHandler"/>'), 1, 4, ("no class",)),
    (handlers(attributes=' coreHandlersPackage="com.example.Mine"'), 1, 4,
     ("coreHandlersPackage", "CoreCmdHandlerLoader", "NoAuthCmdHandlerLoader")),
    (handlers(attributes=' coreHandlersPackage="org.apache.james.smtpserver.NoAuthCmdHandler"'), 1,
     4, ("did you mean org.apache.james.smtpserver.NoAuthCmdHandlerLoader?",)),
    (handlers(attributes=' corehandlersPackage="x"'), 2, 4, ("corehandlersPackage", "ignored")),
    (handlers(attributes=' enableJmx="false"'), 0, 4, ("enableJmx", "ignored")),
    (handlers(f'<handler class="{FASTFAIL}MaxRcptHandler">', "<maxRcpt>x</maxRcpt></handler>"), 1,
     5, ("maxRcpt", "whole number")),
    (handlers(f'<handler class="{FASTFAIL}MaxRcptHandler">', "<maxrcpt>5</maxrcpt></handler>"), 1,
     5, ("did you mean maxRcpt?",)),
    (handlers(f'<handler class="{FASTFAIL}ValidRcptHandler">',
              "<recipientRewriteTableCheck>foo</recipientRewriteTableCheck></handler>"), 1, 5,
     ("mappingExists", "anyMappingValid", "allMappingsValid")),
    (handlers(f'<handler class="{FASTFAIL}ValidRcptHandler">',
              "<enableRecipientRewriteTable>maybe</enableRecipientRewriteTable></handler>"), 1, 5,
     ("true or false",)),
    (handlers(f'<handler class="{FASTFAIL}DNSRBLHandler"/>'), 1, 4, ("rblservers is missing",)),
    (handlers(f'<handler class="{FASTFAIL}DNSRBLHandler">', "<rblservers/></handler>"), 1, 5,
     ("whitelist or blacklist",)),
    (handlers(f'<handler class="{FASTFAIL}AllowedUnauthenticatedSender"/>'), 1, 4,
     ("allowedSenders is missing",)),
    (handlers(f'<handler class="{FASTFAIL}AllowedUnauthenticatedSender">',
              "<allowedSenders/></handler>"), 1, 5, ("at least one allowedSender",)),
    (handlers(f'<handler class="{FASTFAIL}AllowedUnauthenticatedSender">',
              '<allowedSenders><allowedSender fromIps="x y">a@b.c</allowedSender></allowedSenders>'
              "</handler>"), 1, 5, ("allowedSender@fromIps", "not a network")),
    (handlers(f'<handler class="{FASTFAIL}URIRBLHandler"/>'), 1, 4, ("uriRblServers",)),
    (handlers(f'<handler class="{JAMES}smtpserver.netty.MaxConnectionLifespanHandler"/>'), 1, 4,
     ("duration is missing",)),
    (handlers(f'<handler class="{JAMES}smtpserver.netty.MaxConnectionLifespanHandler">',
              "<duration>-5s</duration></handler>"), 1, 5, ("duration", "1 hour")),
    (handlers(f'<handler class="{JAMES}smtpserver.SetMimeHeaderHandler">',
              "<headername>X</headername></handler>"), 1, 4, ("headervalue is missing",)),
    (handlers(f'<handler class="{JAMES}smtpserver.MailPriorityHandler">',
              "<priorityEntries><priorityEntry><domain>a</domain><priority>10</priority>"
              "</priorityEntry></priorityEntries></handler>"), 1, 5, ("-9", "9")),
    (handlers(f'<handler class="{JAMES}smtpserver.ConfigurationAuthHook"/>'), 1, 4,
     ("accounts is missing",)),
    (handlers(f'<handler class="{JAMES}smtpserver.ConfigurationAuthHook">',
              "<accounts><account><username>a</username></account></accounts></handler>"), 1, 5,
     ("username and passwords",)),
    (handlers(f'<handler class="{JAMES}smtpserver.ConfigurationAuthHook">',
              "<accounts><account><username>a</username><passwords/></account></accounts>"
              "</handler>"), 1, 5, ("no password",)),
    (handlers(f'<handler class="{JAMES}smtpserver.DKIMHook">', "<forceCLRF>x</forceCLRF>"
              "</handler>"), 2, 5, ("did you mean forceCRLF?",)),
]

# (whole file, status, line, words)
FILES = [
    ("", 1, 1, ("empty",)),
    ("hello", 1, 1, ("bad XML",)),
    ("<smtpservers>", 1, 1, ("bad XML", "no element found")),
    ("<smtpservers>\n<smtpserver>\n</smtpservers>", 1, 3, ("mismatched tag",)),
    ("<smtpservers/>\n<smtpservers/>", 1, 2, ("junk after document element",)),
    ("<smtpservers>\n&nbsp;</smtpservers>", 1, 2, ("undefined entity",)),
    ("<smtpservers a='1' a='2'/>", 1, 1, ("duplicate attribute",)),
    (b"<smtpservers>\xff\xfe</smtpservers>", 1, 1, ("bad XML", "not well-formed")),
    (b"<?xml version='1.0' encoding='nonsense'?><smtpservers/>", 1, 1, ("bad XML",)),
    (b"<?xml version='1.0' encoding='utf-7'?><smtpservers/>", 1, 1, ("bad XML",)),
    ("<smtpservers>\0</smtpservers>", 1, 1, ("bad XML",)),
    ("<imapservers/>", 1, 1, ("SMTP and LMTP only",)),
    ("<smtpserverss/>", 1, 1, ("root element", "did you mean smtpservers?")),
    ("<SMTPservers/>", 1, 1, ("did you mean smtpservers?",)),
    ("<config><smtpserver/></config>", 1, 1, ("not for mxring",)),
    ("<smtpservers>\n<smtpServer/></smtpservers>", 1, 2, ("did you mean smtpserver?",)),
    ("<smtpservers>\n<lmtpserver/></smtpservers>", 1, 2, ("reads only smtpserver",)),
    ('<!DOCTYPE a [<!ENTITY x "y">]>\n<smtpservers/>', 1, 1, ("DTD", "refused")),
    ('<!DOCTYPE smtpservers SYSTEM "http://127.0.0.1:9/x.dtd">\n<smtpservers/>', 0, 1,
     ("DOCTYPE", "not read")),
    ('<!DOCTYPE a SYSTEM "x.dtd">\n<smtpservers>\n&x;</smtpservers>', 1, 3, ("x",)),
    ("<?php echo 1 ?>\n<smtpservers/>", 0, 1, ("processing instruction", "no effect")),
    ("<smtpservers>" + "<a>" * 70 + "</a>" * 70 + "</smtpservers>", 1, 1, ("nested",)),
    ("<smtpservers>" + "<a/>" * 600_001 + "</smtpservers>", 1, 1, ("600000 elements",)),
    ("<smtpservers>" + " " * (16 << 20) + "</smtpservers>", 1, 0, ("16 MiB",)),
    (smtp(attributes=' enabled="perhaps"'), 1, 2, ("smtpserver@enabled", "true or false")),
    (smtp(attributes=' enable="false"'), 2, 2, ("smtpserver@enable", "ignored")),
    (smtp("stray"), 2, 2, ("smtpserver", "text has no effect")),
    (lmtp("<maxmessagesize>10MB</maxmessagesize>"), 1, 3, ("maxmessagesize", "64K")),
    ("<domainlist>\n<domainnames><domainname>a_b</domainname></domainnames></domainlist>", 1, 2,
     ("domainnames.domainname", "host name")),
    ("<domainlist>\n<domainname>a.example</domainname></domainlist>", 2, 2,
     ("did you mean domainnames?",)),
    ("<domainlist/>", 2, 1, ("no domain",)),
    ("<domainlist><domainnames><domainname>a.example</domainname></domainnames>\n"
     "<defaultDomain>b.example</defaultDomain></domainlist>", 2, 2, ("b.example", "not among")),
    ("<domainlist>\n<autodetect>true</autodetect></domainlist>", 2, 2, ("by itself",)),
    ("<usersrepository>\n<algoritm>SHA</algoritm></usersrepository>", 2, 2,
     ("did you mean algorithm?",)),
    ("<recipientrewritetable>\n<mapping>nonsense</mapping></recipientrewritetable>", 2, 2,
     ("without =",)),
    ("<recipientrewritetable>\n<mapping>a@b.example=</mapping></recipientrewritetable>", 2, 2,
     ("without a target",)),
    ("<recipientrewritetable>\n<mapping>*@b.example=error:550 no</mapping>"
     "</recipientrewritetable>", 2, 2, ("left out",)),
    ("<recipientrewritetable>\n<mappingLimit>x</mappingLimit></recipientrewritetable>", 1, 2,
     ("mappingLimit", "whole number")),
    ("<recipientrewritetable>\n<recursiveMapping>false</recursiveMapping>"
     "</recipientrewritetable>", 0, 2, ("rewritten once", "aliasLimit")),
    ("<recipientrewritetable>\n<mappingLimit>99</mappingLimit></recipientrewritetable>", 2, 2,
     ("1..50",)),
]


def check(folder, text, status, line, words):
    result = inside(folder.write("a.xml", text), CURRENT)
    shown = text[:300]
    equal(result.status, status, f"{shown}\n{result.errors}")
    found = [(place, f"{element}: {what}") for place, element, _, what, _ in result.entries]
    assert any(place == line and all(word in what for word in words) for place, what in found), \
        f"{shown}\nwanted line {line} with {words}\n{result.errors}"
    if status == 1:
        assert any(level == "error" for _, _, level, _, _ in result.entries), result.errors
        equal(result.text, "", shown)
    equal([entry[4] for entry in result.entries if entry[4] != folder.path("a.xml")], [], "file")


def test_elements():
    with Folder() as folder:
        for inner, status, line, words in ELEMENTS:
            check(folder, smtp(inner), status, line, words)


def test_chains():
    with Folder() as folder:
        for chain, status, line, words in CHAINS:
            check(folder, smtp(chain=chain), status, line, words)


def test_files():
    with Folder() as folder:
        for text, status, line, words in FILES:
            check(folder, text, status, line, words)


def test_enough_of_them():
    count = len(ELEMENTS) + len(CHAINS) + len(FILES)
    print(f"{count} planted mistakes")
    assert count >= 170, count


def test_all_mistakes_are_told():
    """Not only the first."""
    with Folder() as folder:
        result = inside(folder.write("a.xml", smtp(
            "<connectionLimit>-1</connectionLimit>\n<bind>x</bind>\n<maxLineLength>1"
            "</maxLineLength>")), folder.write("b.xml", "<pop3servers/>"))
        equal(result.status, 1)
        equal(sorted((line, element) for line, element, level, _, _ in result.entries
                     if level == "error"),
              [(1, "pop3servers"), (3, "connectionLimit"), (4, "bind"), (5, "maxLineLength")])


def test_entity_bomb():
    """Neither memory nor time: it is refused at its first line."""
    bomb = '<!DOCTYPE a [<!ENTITY x0 "ha">' + "".join(
        f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 30)) + "]><a>&x29;</a>"
    with Folder() as folder:
        result = inside(folder.write("a.xml", bomb))
        equal(result.status, 1)
        assert result.says("DTD", level="error"), result.errors


def test_files_that_cannot_be_read():
    with Folder() as folder:
        for path in (folder.path("missing.xml"), folder.name, "/proc/self/mem"):
            result = inside(path)
            equal(result.status, 1, path)
            equal(len(result.entries), 1, result.errors)
            assert result.says("0: file", level="error"), result.errors
        endless = inside("/dev/zero")
        equal(endless.status, 1)
        assert endless.says("16 MiB"), endless.errors


def test_two_servers_on_one_port():
    with Folder() as folder:
        first = folder.write("a.xml", smtp("<bind>127.0.0.1:2525</bind>"))
        second = folder.write("b.xml", lmtp("<bind>127.0.0.1:2525</bind>"))
        result = inside(first, second, CURRENT)
        equal(result.status, 1)
        assert result.says("3: bind", f"{first}:3", level="error"), result.errors


def test_output_that_cannot_be_written():
    with Folder() as folder:
        path = folder.write("a.xml", smtp())
        for out in (folder.path("no/such/folder/mx.yaml"), folder.name, "/proc/mx.yaml"):
            result = inside(path, "-o", out, "--force")
            equal(result.status, 1, out)
            assert any(out in line for line in result.other), result.errors
        equal(os.listdir(folder.name), ["a.xml"])


def test_control_characters_stay_out_of_the_report():
    """A report is read on a terminal, and becomes comments in the YAML."""
    bad = "\u009b31m\u2028evil: true\u0085evil: true\u202e"
    with Folder() as folder:
        for inner in (f"<connectionLimit>{bad}</connectionLimit>", f"<bind>{bad}:1</bind>",
                      f"<authRequired>{bad}</authRequired>",
                      f"<disabledFeatures>{bad}</disabledFeatures>"):
            result = inside(folder.write("a.xml", smtp(inner)), CURRENT)
            for text in (result.errors, result.text):
                assert not any(c in text for c in "\u009b\u2028\u0085\u202e"), inner
            if result.data:
                assert "evil" not in result.data, result.text


run(globals())
