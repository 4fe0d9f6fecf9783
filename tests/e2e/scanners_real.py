"""Rspamd and SpamAssassinHandler with the programs that Debian has: GTUBE is rejected, milder mail is
marked, and what they say is noted."""
import os
import re
import shutil
import tempfile

from lib_mxring import equal, run, serve, skip
from lib_rspamd import ADD_HEADER, GTUBE, HAM, REWRITE, Rspamd
from lib_spamd import Spamd
from milter import last, stored
from scanners import attributes, config

HITS = ("554 5.7.0 This message reach the spam hits treshold. Please contact the Postmaster if the email is not "
        "SPAM. Message rejected")


def is_there(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin") is not None


def test_rspamd():
    if not is_there("rspamd"):
        return print("without rspamd: it is not installed")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, Rspamd(folder) as rspamd:
        chain = f"Rspamd: {{address: '{rspamd.http}', timeout: 20s, onFailure: reject}}"
        with serve(config(chain, directory=folder)) as server:
            for message, wanted in ((HAM, "250"), (GTUBE, "554 5.7.1 Gtube pattern"), (ADD_HEADER, "250"),
                                    (REWRITE, "250")):
                reply = last(server, message=message)
                assert reply.startswith(wanted), (reply, wanted)
            server.stop()
        texts = stored(folder)
        equal(len(texts), 3, "messages")
        ham, marked, rewritten = (next(text for text in texts if word in text) for word in
                                  ("harmless", "YJS*C4J", "ZJS*C4J"))
        assert re.search(r"^X-Spam-Status: No, score=", ham, re.M), ham
        assert re.search(r"^X-Spam: Yes$", marked, re.M) and "\nX-Spam: " not in ham, marked
        assert re.search(r"^Subject: \*\*\* SPAM \*\*\* hello$", rewritten, re.M), rewritten
        noted = sorted(attributes(folder))
        assert all(re.fullmatch(r"rspamd.action=(no action|add header|rewrite subject), score=-?[\d.]+ required=15.0",
                                line) for line in noted), noted


def test_spamd():
    if not is_there("spamd"):
        return print("without spamd: it is not installed")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, Spamd(folder) as spamd:
        chain = (f"SpamAssassinHandler: {{spamdPort: {spamd.port}, spamdRejectionHits: HITS, timeout: 30s, "
                 "onFailure: reject}")
        with serve(config(chain.replace("HITS", "100"), directory=folder)) as server:
            equal(last(server, message="X-Spam-Flag: NO\r\n" + HAM)[:3], "250", "ham")
            equal(last(server, message=GTUBE), HITS, "GTUBE")
            server.stop()
        with serve(config(chain.replace("HITS", "0"), directory=folder)) as server:
            equal(last(server, message="X-Spam-Flag: NO\r\n" + GTUBE)[:3], "250", "GTUBE is only marked")
            server.stop()
        ham, spam = sorted(stored(folder), key=lambda text: "XJS*C4J" in text)
        assert re.findall(r"^X-Spam-(?:Flag|Status): .*", ham, re.M)[0] == "X-Spam-Flag: NO", ham
        flags = re.findall(r"^X-Spam-Flag: .*", spam, re.M)
        equal(flags, ["X-Spam-Flag: YES"], "what came with it is gone")
        assert re.search(r"^X-Spam-Status: Yes, hits=\d\d\d+\.\d+ required=5.0$", spam, re.M), spam
        noted = attributes(folder)
        assert "org.apache.james.spamassassin.flag=YES" in noted and \
            "org.apache.james.spamassassin.flag=NO" in noted, noted


if __name__ == "__main__":
    if not is_there("rspamd") and not is_there("spamd"):
        skip("neither rspamd nor spamd is installed")
    run(globals())
