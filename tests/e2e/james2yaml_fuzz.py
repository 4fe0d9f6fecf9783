"""Whatever the XML, the converter ends with 0, 1 or 2, a report, and YAML that mxring can read.

Seeded: MX_SEED and MX_RUNS repeat or prolong it. A failure prints the seed of the run.
"""
import os
import random
import re

from lib_james2yaml import (LINE, SAMPLES, SUMMARY, Folder, accepted, handlers, inside, lmtp, smtp)
from lib_mxring import run

SEED = int(os.environ.get("MX_SEED", "1"))
RUNS = int(os.environ.get("MX_RUNS", "1500"))
CHECK_EACH = int(os.environ.get("MX_CHECK_EACH", "15"))  # of these YAML files, one is checked
JAMES = "org.apache.james.smtpserver."

SMTP = smtp("""<bind>127.0.0.1:0, 127.0.0.2:0</bind><jmxName>one</jmxName>
<helloName autodetect="false">mx.example</helloName>
<connectionBacklog>200</connectionBacklog><connectiontimeout>360</connectiontimeout>
<connectionLimit>10</connectionLimit><connectionLimitPerIP>2</connectionLimitPerIP>
<tls socketTLS="false" startTLS="true"><keystore>file://conf/keystore</keystore>
<keystoreType>PKCS12</keystoreType><secret>hidden-word</secret><clientAuth/>
<supportedProtocols><protocol>TLSv1.3</protocol></supportedProtocols>
<supportedCipherSuites><cipherSuite>TLS_AES_128_GCM_SHA256</cipherSuite></supportedCipherSuites>
<sessionCache><size>5</size><timeout>5 minutes</timeout></sessionCache></tls>
<auth><announce>always</announce><requireSSL>true</requireSSL><required>true</required>
<plainAuthEnabled>true</plainAuthEnabled><oidc><claim>x</claim></oidc>
<saslMechanisms>PlainSaslMechanismFactory</saslMechanisms></auth>
<authorizedAddresses>127.*, 10.0.0.0/8 192.0.2.0/255.255.255.0 2001:db8::/64</authorizedAddresses>
<verifyIdentity>relaxed</verifyIdentity><maxmessagesize>10M</maxmessagesize>
<maxLineLength>2000</maxLineLength><heloEhloEnforcement>true</heloEhloEnforcement>
<addressBracketsEnforcement>true</addressBracketsEnforcement><smtpGreeting>hello</smtpGreeting>
<disabledFeatures>8BITMIME</disabledFeatures><proxyRequired>true</proxyRequired>
<gracefulShutdown>false</gracefulShutdown><useEpoll>true</useEpoll>""", ' enabled="true"', handlers(
    f'<handler class="{JAMES}fastfail.ValidRcptHandler"/>',
    f'<handler class="{JAMES}fastfail.MaxRcptHandler"><maxRcpt>9</maxRcpt></handler>',
    f'<handler class="{JAMES}fastfail.DNSRBLHandler"><rblservers><whitelist>a.b</whitelist>'
    "<blacklist>c.d</blacklist></rblservers></handler>",
    f'<handler class="{JAMES}fastfail.AllowedUnauthenticatedSender"><allowedSenders>'
    '<allowedSender fromIps="127.0.0.1">a@b.c</allowedSender></allowedSenders></handler>',
    f'<handler class="{JAMES}ConfigurationAuthHook"><accounts><account><username>a</username>'
    "<passwords><password>hidden-word</password></passwords></account></accounts></handler>",
    f'<handler class="{JAMES}MailPriorityHandler"><priorityEntries><priorityEntry><domain>a.b'
    "</domain><priority>1</priority></priorityEntry></priorityEntries></handler>",
    '<handler class="com.example.Mine"><secret>hidden-word</secret></handler>',
    attributes=f' coreHandlersPackage="{JAMES}NoAuthCmdHandlerLoader" enableJmx="false"'))
NEIGHBOURS = ["""<domainlist class="x"><domainnames><domainname>example.com</domainname>
<domainname>example.org</domainname></domainnames><autodetect>false</autodetect>
<defaultDomain>example.com</defaultDomain></domainlist>""",
              """<recipientrewritetable><recursiveMapping>true</recursiveMapping>
<mappingLimit>10</mappingLimit><mapping>a@example.com=b@example.com;c@example.com</mapping>
<mapping>@old.example=domain:example.com</mapping></recipientrewritetable>""",
              """<usersrepository class="x"><algorithm>PBKDF2-SHA512</algorithm>
<enableVirtualHosting>true</enableVirtualHosting></usersrepository>"""]
WORDS = ["", "0", "-1", "true", "FALSE", "99999999999999999999", "0x7fffffff", "10M", "10KB",
         "${env:X}", "${sys:a.b}", "${env:X:-y}", "${", "$", "}", "*", "0.0.0.0/0", "::/0",
         "1.2.3.",
         "127.0.0.1:25", "[::1]:0", "localhost", "nosuch.invalid", "a" * 300, "é\u2028\u0085",
         "\ud7ff\ue000", "&amp;&lt;", "file:x", "#", ": -", "'\"\\", "\n", "\t", "!!python/x",
         "---",
         "org.apache.james.smtpserver.fastfail.SPFHandler", "%", "{value}", "{0}", "%s"]
FLAGS = ["--lenient", "--skip-unknown", "--keep-open-relay", "--james-version=3.6",
         "--james-version=3.8", "--james-version=current"]


def replace(random_, text, pattern, new):
    """One of the places that match, replaced by what new says."""
    places = list(re.finditer(pattern, text))
    if not places:
        return text
    place = random_.choice(places)
    return text[:place.start(1)] + new(place[1]) + text[place.end(1):]


def misspell(random_, name):
    at = random_.randrange(len(name) + 1)
    return random_.choice([
        name[:at] + name[at + 1:], name[:at] + random_.choice("aXo.-_1") + name[at:], name.upper(),
        name.lower(), "handler." + name, random_.choice(WORDS)])


def rename(random_, text):
    """An element and its end."""
    places = list(re.finditer(r"<(\w+)([^<>]*)>([^<>]*)</\1>", text))
    if not places:
        return text
    place = random_.choice(places)
    name = misspell(random_, place[1])
    return f"{text[:place.start()]}<{name}{place[2]}>{place[3]}</{name}>{text[place.end():]}"


def move(random_, text):
    """An element out, or once more, or somewhere else."""
    places = list(re.finditer(r"<(\w+)[^<>]*>[^<>]*</\1>", text))
    if not places:
        return text
    place = random_.choice(places)
    rest = text[:place.start()] + text[place.end():]
    targets = [match.start() for match in re.finditer("<", rest)]
    at = random_.choice(targets) if targets else 0
    return random_.choice([rest, text[:place.start()] + place[0] + text[place.start():],
                           rest[:at] + place[0] + rest[at:]])


def octets(random_, text):
    """Somewhere, some octets."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(random_.randint(1, 4)):
        at = random_.randrange(len(data) + 1)
        if random_.random() < 0.5:
            data[at:at + random_.randint(1, 9)] = b""
        else:
            data[at:at] = random_.randbytes(random_.randint(1, 3))
    return bytes(data)


def value(random_, text):
    return replace(random_, text, r">([^<>\s][^<>]*)<", lambda _: random_.choice(WORDS))


def attribute(random_, text):
    return replace(random_, text, r'="([^"<>]*)"', lambda _: random_.choice(
        WORDS).replace('"', "'"))


def attribute_name(random_, text):
    return replace(random_, text, r' (\w+)="', lambda name: misspell(random_, name))


MUTATIONS = (value, value, value, attribute, attribute_name, rename, rename, move, move)


def mutate(random_, text):
    for _ in range(random_.choice((1, 1, 2, 3, 8))):
        text = random_.choice(MUTATIONS)(random_, text)
    return octets(random_, text) if random_.random() < 0.1 else text


def corpus():
    texts = [SMTP, SMTP.replace("smtpserver", "lmtpserver"), lmtp("<lmtpGreeting>x</lmtpGreeting>"),
             *NEIGHBOURS]
    if os.path.isdir(SAMPLES):
        for name in sorted(os.listdir(SAMPLES)):
            with open(os.path.join(SAMPLES, name), encoding="utf-8") as file:
                texts.append(file.read())
    return texts


def check(result, number, counts):
    assert result.status in (0, 1, 2), result.status
    counts[result.status] += 1
    for line in result.other:
        assert SUMMARY.fullmatch(line), line
    errors = sum(level == "error" for _, _, level, _, _ in result.entries)
    assert (errors > 0) == (result.status == 1), result.errors
    assert (result.text == "") == (result.status == 1), result.text
    assert "hidden-word" not in result.errors, result.errors
    assert all(LINE.fullmatch(line) for line in result.errors.splitlines()[:-1]), result.errors
    if result.text and number % CHECK_EACH == 0:
        accepted(result.text)


def test_mutations():
    texts, counts = corpus(), {0: 0, 1: 0, 2: 0}
    with Folder() as folder:
        for number in range(RUNS):
            random_ = random.Random(f"{SEED}/{number}")
            files = [folder.write(f"conf/{n}.xml", mutate(random_, random_.choice(texts)))
                     for n in range(random_.choice((1, 1, 2)))]
            flags = [flag for flag in FLAGS if random_.random() < 0.3]
            try:
                check(inside(*files, *flags), number, counts)
            except BaseException:
                print(f"seed {SEED}/{number}, flags {flags}")
                for path in files:
                    with open(path, "rb") as file:
                        print(file.read().decode("utf-8", "replace"))
                raise
    print(f"{RUNS} files: {counts}")
    assert min(counts.values()) > 0, "all three ends were seen"


def test_cut_anywhere():
    """Every beginning of a file."""
    with Folder() as folder:
        for end in range(0, len(SMTP), 7):
            result = inside(folder.write("a.xml", SMTP[:end]))
            assert result.status == 1, end


def test_the_corpus_itself_converts():
    with Folder() as folder:
        for text in (SMTP, *NEIGHBOURS):
            result = inside(folder.write("a.xml", text), "--skip-unknown")
            assert result.status in (0, 2), result.errors


run(globals())
