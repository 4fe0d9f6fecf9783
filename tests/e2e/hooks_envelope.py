"""What hooks and their parameters say of a message stands in the spool, and what they did in the log."""
import json
import re
import smtplib
import tempfile

from lib_mxring import equal, mxring, run, serve, write_config

CHAIN = """\
      - DSNMailParameterHook
      - DSNRcptParameterHook
      - SmtpMtPriorityParameterHook
      - MailPriorityHandler:
          priorityEntries:
            - {domain: example.com, priority: -2}
            - {domain: example.org, priority: 7}
            - {domain: example.net}
      - SetMailAttributeMessageHook: {name: org.example.way, value: "in \\"1\\""}
      - SetMimeHeaderHandler: {headername: X-Way, headervalue: in}
      - SmtpRequireTlsMessageHook
      - MaxRcptHandler: {maxRcpt: 2}
"""


def gateway(folder):
    return write_config(f"""\
engine: {{workers: 1}}
domains: [example.com, example.org]
spool: {{directory: "{folder}/spool", segmentSize: 4M, reserve: 0}}
smtpservers:
  - bind: "127.0.0.1:0"
    helloName: mx.example
    verifyIdentity: disabled
    handlerchain:
{CHAIN}""")


def test_the_envelope():
    with tempfile.TemporaryDirectory() as folder:
        with serve(gateway(folder)) as server:
            with smtplib.SMTP(server.host, server.port, timeout=20) as client:
                client.ehlo("c.example")
                client.mail("a@x.example", ["RET=HDRS", "ENVID=Q+2B1", "MT-PRIORITY=-4"])
                equal(client.docmd("RCPT", "TO:<bob@example.com> NOTIFY=delay,success "
                                   "ORCPT=rfc822;Bob+40x@y")[0], 250)
                equal(client.docmd("RCPT", "TO:<al@example.org> NOTIFY=NEVER")[0], 250)
                equal(client.docmd("RCPT", "TO:<al@example.org>")[0], 452)
                equal(client.data("From: a@x.example\r\nTLS-Required: no\r\n\r\nbody\r\n")[0], 250)
            listed = mxring("spool", "ls", f"{folder}/spool").stdout.split()
            said = mxring("spool", "cat", "--envelope", f"{folder}/spool", listed[0])
            text = mxring("spool", "cat", f"{folder}/spool", listed[0]).stdout
            server.stop()
        log = "\n".join(server.lines)
    envelope = json.loads(said.stdout)
    equal([envelope[key] for key in ("ret", "envid", "priority")], ["HDRS", "Q+1", "-4"])
    equal([(row["address"], row.get("notify"), row.get("orcpt")) for row in envelope["recipients"]],
          [("bob@example.com", "SUCCESS,DELAY", "rfc822;Bob@x@y"),
           ("al@example.org", "NEVER", None)])
    equal({row["name"]: row["value"] for row in envelope["attributes"]},
          {"MAIL_PRIORITY": "7", "org.example.way": 'in "1"', "REQUIRETLS": "false"})
    assert re.search(r"\(PRIORITY -4\);", text), text
    assert "TLS-Required: no\nX-Way: in\n\nbody\n" in text.replace("\r", ""), text
    assert re.search(r"event=refused .*hook=MaxRcptHandler point=rcpt reply=\"452 4.5.3 ", log), log
    assert re.search(r"event=hook name=MaxRcptHandler declined=2 ok=0 soft=1 hard=0 ", log), log


run(globals())
