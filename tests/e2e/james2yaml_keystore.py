"""Keystores become PEM files, or the converter says exactly what to run."""
import os
import re
import shlex
import shutil
import stat
import subprocess

from lib_james2yaml import Folder, inside, program, smtp
from lib_mxring import SLOW, equal, run, tool

OPENSSL = tool("openssl")
CURRENT = "--james-version=current"
SECRET = "s3cret phrase"


def openssl(*words, **how):
    return subprocess.run([OPENSSL, *words], check=True, capture_output=True, timeout=SLOW * 3,
                          stdin=subprocess.DEVNULL, **how).stdout.decode()


def certificate(folder, name, issuer=None):
    """An EC key and a certificate, its own issuer's or another's."""
    key, pem = folder.path(f"{name}.key"), folder.path(f"{name}.pem")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    signer = ["-CA", folder.path(f"{issuer}.pem"), "-CAkey", folder.path(f"{issuer}.key")] \
        if issuer else []
    openssl("req", "-x509", "-new", "-key", key, "-subj", f"/CN={name}", "-days", "30",
            *signer, "-out", pem)
    return key, pem


def pkcs12(folder, path, *words, key="mx.test.key", pem="mx.test.pem"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    openssl("pkcs12", "-export", "-inkey", folder.path(key), "-in", folder.path(pem), "-name",
            "james", "-passout", f"pass:{SECRET}", "-out", path, *words)


def xml(keystore="file://conf/keystore", more="<keystoreType>PKCS12</keystoreType>",
        secret=SECRET):
    return smtp(f'<tls startTLS="true"><keystore>{keystore}</keystore>{more}'
                f"<secret>{secret}</secret></tls>")


def setup(folder):
    """A chain of three and an unrelated certificate in one keystore."""
    certificate(folder, "root")
    certificate(folder, "middle", "root")
    certificate(folder, "mx.test", "middle")
    certificate(folder, "stranger")
    with open(folder.path("others.pem"), "w", encoding="ascii") as out:
        for name in ("root", "stranger", "middle"):  # in a bad order
            with open(folder.path(f"{name}.pem"), encoding="ascii") as file:
                out.write(file.read())
    pkcs12(folder, folder.path("conf/keystore"), "-certfile", folder.path("others.pem"))


def subjects(path):
    with open(path, encoding="ascii") as file:
        found = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n",
                           file.read(), re.S)
    return [openssl_text(pem) for pem in found]


def openssl_text(pem):
    done = subprocess.run([OPENSSL, "x509", "-noout", "-subject"], input=pem.encode(), check=True,
                          capture_output=True, timeout=SLOW)
    return done.stdout.decode().rpartition("=")[2].strip()


def check_pems(folder, result, key, pem, chain):
    assert result.status in (0, 2), result.errors
    for path in (key, pem):
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)
    equal(openssl("pkey", "-in", key, "-pubout"),
          openssl("pkey", "-in", folder.path("mx.test.key"), "-pubout"), "the key")
    equal(subjects(pem), chain, "the certificates")
    with open(folder.path("out/mx.yaml"), encoding="utf-8") as file:
        text = file.read()
    for path in (key, pem):
        assert f": {os.path.basename(path)}\n" in text, "relative to the YAML, beside it"
    assert SECRET not in text + result.errors, "the secret is nowhere"


def test_pkcs12():
    with Folder() as folder:
        setup(folder)
        os.mkdir(folder.path("out"))
        result = program(folder.write("conf/smtpserver.xml", xml()), "-o",
                         folder.path("out/mx.yaml"), CURRENT)
        equal(result.status, 0, result.errors)
        check_pems(folder, result, folder.path("out/keystore.key.pem"),
                   folder.path("out/keystore.cert.pem"), ["mx.test", "middle", "root"])
        for name in ("tls.keystore", "tls.keystoreType", "tls.secret"):
            assert result.says(f"3: {name}: "), result.errors


def test_the_file_shows_its_type():
    """PKCS12 under the name of JKS, the default: Java opens it, too. Old algorithms as well."""
    for words in ((), ("-legacy", "-certpbe", "PBE-SHA1-RC2-40")):
        with Folder() as folder:
            certificate(folder, "mx.test")
            pkcs12(folder, folder.path("conf/keystore"), *words)
            os.mkdir(folder.path("out"))
            result = inside(folder.write("conf/smtpserver.xml", xml(more="")), "-o",
                            folder.path("out/mx.yaml"), CURRENT)
            check_pems(folder, result, folder.path("out/keystore.key.pem"),
                       folder.path("out/keystore.cert.pem"), ["mx.test"])


def test_paths():
    """As James finds them: its home is above conf, or what --james-home says."""
    with Folder() as folder:
        certificate(folder, "mx.test")
        store = folder.path("home/conf/keystore")
        pkcs12(folder, store)
        inner = folder.write("home/conf/smtpserver.xml", "")
        outer = folder.write("elsewhere/smtpserver.xml", "")
        home = folder.path("home")
        for file, name, words in (
                (inner, "file://conf/keystore", ()), (inner, "classpath:keystore", ()),
                (inner, "conf/keystore", ()), (inner, f"file://{store}", ()),
                (inner, store, ()), (outer, f"file://{store}", ()),
                (outer, "file://conf/keystore", ("--james-home", home))):
            with open(file, "w", encoding="utf-8") as out:
                out.write(xml(name))
            result = inside(file, "-o", folder.path("mx.yaml"), CURRENT, "--force", *words)
            equal(result.status, 0, f"{name}\n{result.errors}")


def test_several_servers_share_a_keystore():
    with Folder() as folder:
        certificate(folder, "mx.test")
        pkcs12(folder, folder.path("conf/keystore"))
        pkcs12(folder, folder.path("conf/other/keystore"))
        first = xml()
        second = xml().replace("<smtpservers>", "").replace("</smtpservers>", "")
        third = second.replace("conf/keystore", "conf/other/keystore")
        third = third.replace("<tls", "<bind>127.0.0.1:26</bind><tls")
        second = second.replace("<tls", "<bind>127.0.0.1:27</bind><tls")
        text = first.replace("</smtpservers>", second + third + "</smtpservers>")
        result = inside(folder.write("conf/smtpserver.xml", text), "-o", folder.path("mx.yaml"),
                        CURRENT)
        equal(result.status, 0, result.errors)
        pems = sorted(name for name in os.listdir(folder.name) if name.startswith("keystore"))
        equal(pems, ["keystore-2.cert.pem", "keystore-2.key.pem", "keystore.cert.pem",
                     "keystore.key.pem"])


def test_nothing_is_replaced():
    """A key that is there stays, and then nothing else is written either."""
    with Folder() as folder:
        certificate(folder, "mx.test")
        pkcs12(folder, folder.path("conf/keystore"))
        key = folder.write("keystore.key.pem", "precious")
        path = folder.write("conf/smtpserver.xml", xml())
        result = inside(path, "-o", folder.path("mx.yaml"), CURRENT)
        equal((result.status, os.path.exists(folder.path("mx.yaml")),
               os.path.exists(folder.path("keystore.cert.pem"))), (1, False, False), result.errors)
        with open(key, encoding="ascii") as file:
            equal(file.read(), "precious")
        equal(inside(path, "-o", folder.path("mx.yaml"), CURRENT, "--force").status, 0)
        equal(stat.S_IMODE(os.stat(key).st_mode), 0o600)


def test_what_cannot_be_opened():
    """A warning; the YAML names the files that mxring then asks for."""
    with Folder() as folder:
        certificate(folder, "mx.test")
        pkcs12(folder, folder.path("conf/keystore"))
        folder.write("conf/broken", b"\x30\x82" + b"nonsense" * 9)
        folder.write("conf/text", "hello")
        openssl("pkcs12", "-export", "-nokeys", "-in", folder.path("mx.test.pem"), "-passout",
                f"pass:{SECRET}", "-out", folder.path("conf/nokey"))
        for name, secret, words in (
                ("missing", SECRET, ("cannot be read", "No such file")),
                ("keystore", "wrong one", ("the secret is wrong",)),
                ("keystore", "", ("the secret is wrong",)),
                ("broken", SECRET, ("no PKCS12",)), ("text", SECRET, ("neither",)),
                ("nokey", SECRET, ("no private key",)), ("${env:NO_SUCH}", SECRET, ("variable",)),
                ("keystore", "${env:NO_SUCH}", ("not set",))):
            out = folder.path("mx.yaml")
            result = inside(folder.write("conf/a.xml", xml(f"file://conf/{name}", secret=secret)),
                            "-o", out, CURRENT, "--force")
            equal(result.status, 2, f"{name}\n{result.errors}")
            assert result.says("3: tls.keystore", *words, level="warning"), result.errors
            with open(out, encoding="utf-8") as file:
                assert ".key.pem" in file.read(), "the file that is expected"
        equal([name for name in os.listdir(folder.name) if name.endswith(".key.pem")], [])


def test_secret_in_a_variable():
    with Folder() as folder:
        certificate(folder, "mx.test")
        pkcs12(folder, folder.path("conf/keystore"))
        path = folder.write("conf/a.xml", xml(secret="${env:JAMES_TEST_SECRET}"))
        result = program(path, "-o", folder.path("mx.yaml"), CURRENT,
                         env={**os.environ, "JAMES_TEST_SECRET": SECRET})
        equal(result.status, 0, result.errors)


def test_without_output_nothing_is_extracted():
    with Folder() as folder:
        certificate(folder, "mx.test")
        pkcs12(folder, folder.path("conf/keystore"))
        result = program(folder.write("conf/a.xml", xml()), CURRENT, cwd=folder.name)
        equal(result.status, 2)
        assert result.says("tls.keystore", "only with -o", level="warning"), result.errors
        equal([name for name in os.listdir(folder.name) if "keystore" in name], [])


def test_pem_files_of_james():
    with Folder() as folder:
        key, pem = certificate(folder, "mx.test")
        inner = f'<tls socketTLS="true"><privateKey>file://{key}</privateKey>' \
                f"<certificates>file://{pem}</certificates><secret>pass</secret></tls>"
        result = inside(folder.write("a.xml", smtp(inner)), "-o", folder.path("mx.yaml"), CURRENT)
        equal(result.status, 0, result.errors)
        with open(folder.path("mx.yaml"), encoding="utf-8") as file:
            text = file.read()
        for word in (f"privateKey: {key}", f"certificates: {pem}", "secret: pass"):
            assert word in text, text
        equal(stat.S_IMODE(os.stat(folder.path("mx.yaml")).st_mode), 0o600)
        missing = inside(folder.write("a.xml", smtp(inner.replace(key, "/nonexistent"))), CURRENT)
        equal(missing.status, 2)
        assert missing.says("3: tls.privateKey", "/nonexistent", level="warning"), missing.errors


def test_jks():
    """The commands that the report names do what they say, where there is a keytool."""
    keytool = shutil.which("keytool")
    with Folder() as folder:
        store = folder.path("conf/key store")
        os.mkdir(folder.path("conf"))
        if keytool:
            subprocess.run([keytool, "-genkeypair", "-alias", "james", "-keyalg", "EC",
                            "-storetype", "JKS", "-keystore", store, "-dname", "CN=mx.test",
                            "-storepass:env", "PW", "-keypass:env", "PW"], check=True, capture_output=True,
                           timeout=SLOW * 3, env={**os.environ, "PW": SECRET})
        else:
            folder.write("conf/key store", b"\xfe\xed\xfe\xed\x00\x00\x00\x02" + bytes(32))
        out = folder.path("mx.yaml")
        result = inside(folder.write("conf/a.xml", xml("file://conf/key store", more="")), "-o",
                        out, CURRENT)
        equal(result.status, 2, result.errors)
        assert result.says("tls.keystore", "JKS", level="warning"), result.errors
        assert SECRET not in result.errors
        command = re.search(r"run: (.*)", result.errors)[1]
        assert shlex.quote(store) in command, command
        if keytool:
            subprocess.run(command, shell=True, check=True, capture_output=True, timeout=SLOW * 3,
                           env={**os.environ, "JAMES_SECRET": SECRET})
            key = folder.path("key store.key.pem")
            equal(stat.S_IMODE(os.stat(key).st_mode), 0o600)
            public = openssl("pkey", "-in", key, "-pubout")
            equal(openssl("x509", "-in", folder.path("key store.cert.pem"), "-noout", "-pubkey"),
                  public)
        else:
            print("no keytool: the command was not run")


def test_trust_store():
    with Folder() as folder:
        setup(folder)
        inner = '<tls startTLS="true"><keystore>file://conf/keystore</keystore>' \
                f"<secret>{SECRET}</secret><clientAuth><truststore>file://conf/trust</truststore>" \
                "<truststoreType>PKCS12</truststoreType>" \
                f"<truststoreSecret>{SECRET}</truststoreSecret></clientAuth></tls>"
        openssl("pkcs12", "-export", "-nokeys", "-in", folder.path("root.pem"), "-passout",
                f"pass:{SECRET}", "-out", folder.path("conf/trust"))
        result = inside(folder.write("conf/a.xml", smtp(inner)), "-o", folder.path("mx.yaml"),
                        CURRENT)
        equal(result.status, 0, result.errors)
        equal(subjects(folder.path("trust.cert.pem")), ["root"])
        assert SECRET not in result.errors, result.errors


def test_password_is_on_no_command_line():
    """What openssl is started with, as ps would show it."""
    with Folder() as folder:
        certificate(folder, "mx.test")
        pkcs12(folder, folder.path("conf/keystore"))
        log = folder.path("log")
        spy = folder.write("bin/openssl", f'#!/bin/sh\ntr "\\0" " " </proc/$$/cmdline >>{log}\n'
                                          f'tr "\\0" " " </proc/$$/environ >>{log}\n'
                                          f'exec {OPENSSL} "$@"\n')
        os.chmod(spy, 0o755)
        path = folder.path("bin") + ":" + os.environ["PATH"]
        result = program(folder.write("conf/a.xml", xml()), "-o", folder.path("mx.yaml"), CURRENT,
                         env={**os.environ, "PATH": path})
        equal(result.status, 0, result.errors)
        with open(log, encoding="utf-8") as file:
            seen = file.read()
        assert "pkcs12" in seen and SECRET not in seen, seen


run(globals())
