"""A chain of ten hooks of which none fires costs a message at most 5 % more instructions in the
session and the policy than an empty one; a hook that reads the header is shown, too.

Callgrind counts what CHAIN_COST (tests/cost/chain.c) executes for 100 and for 600 messages; the
difference has no start in it. Neither the kernel nor the sink is part of the count, so that the share
in a server is smaller still.
"""
import os
import re
import shutil
import subprocess
import tempfile

from lib_mxring import MXRING, run, skip

PROGRAM = os.path.join(os.path.dirname(MXRING), "tests", "chain_cost")
HEAD = """\
domains: [example.com]
users: users
spool: {durability: none}
smtpservers:
  - bind: 127.0.0.1:0
    helloName: mx.example
    verifyIdentity: disabled
    handlerchain:
"""
TEN = """\
      - AcceptRecipientIfRelayingIsAllowed
      - AllowedUnauthenticatedSender: {allowedSenders: [{sender: a@example.com}]}
      - AuthRequiredHook
      - MaxRcptHandler: {maxRcpt: 100}
      - MaxUnknownCmdHandler
      - MaxConnectionLifespanHandler: {duration: 1h}
      - DSNEhloHook
      - DSNMailParameterHook
      - DSNRcptParameterHook
      - SmtpMtPriorityParameterHook
"""
HEADER = "      - EnforceHeaderLimitationsMessageHook\n"
FEW, MANY = 100, 600


def count(path, messages):
    said = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                           PROGRAM, path, str(messages)], capture_output=True, text=True,
                          timeout=120, check=False)
    assert said.returncode == 0, said.stderr[-2000:]
    return int(re.search(r"Collected : (\d+)", said.stderr)[1])


def cost(folder, chain):
    path = os.path.join(folder, "mx.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + (chain or "      []\n"))
    with open(os.path.join(folder, "users"), "w", encoding="utf-8") as file:
        file.write("bob@example.com:{PLAIN}x\n")
    os.chmod(file.name, 0o600)
    return (count(path, MANY) - count(path, FEW)) / (MANY - FEW)


def test_ten_hooks():
    if shutil.which("valgrind") is None:
        skip("valgrind is not installed")
    if "asan" in MXRING:
        skip("under AddressSanitizer other instructions are counted")
    with tempfile.TemporaryDirectory() as folder:
        empty = cost(folder, "")
        ten, header = (cost(folder, chain) for chain in (TEN, TEN + HEADER))
    print(f"instructions a message: no hook {empty:.0f}, ten {ten:.0f} ({ten / empty:.3f}), and one "
          f"that reads the header {header:.0f} ({header / empty:.3f})")
    assert ten <= 1.05 * empty, (empty, ten)


run(globals())
