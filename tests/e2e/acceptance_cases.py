"""Every acceptance case has a test that carries its number: a dialogue tests/dialogue/NNN_*.test, or a
function test_N_* (test_N_M_*) of one of FILES. Groups that wait for something say for what; what is there
of them already is counted."""
import glob
import os
import re

from lib_mxring import SOURCE, equal, run

CASES = {  # group: (what it is about, numbers)
    "A": ("configuration and converter", "1 3 5 6 7 8 11 13 14 16 17 19 20 21 23 24 27 28 29 30 32 36 37 39 41"),
    "B": ("greeting, HELO, EHLO", "43 44 45 46 48 49 50 53 54 55 58 59"),
    "C": ("MAIL", "60 63 64 65 67 69 70 72"),
    "D": ("RCPT", "73 74 75 76 77 78 79 80 81 82 85 87 88"),
    "E": ("DATA", "89 90 91 92 94 95 97 100 102 103 104 105 107 108 110 111 112"),
    "F": ("session commands", "113 114 115 119"),
    "G": ("TLS", "122 123 124 125 126 127 130"),
    "H": ("AUTH", "131 132 133 135 136 138 139 141"),
    "I": ("identity", "143 144 146 148 149 150"),
    "J": ("hooks", "154 156 157 158 160 161 163"),
    "K": ("LMTP", "167 168 169 170 171 175 176 178"),
    "L": ("limits, timeout, PROXY", "179 180 181 182 184"),
    "M": ("fixture", "187 190"),
}
WAITING = {"M": "mxring fixture"}
FILES = ("config_cases.py", "james2yaml_cases.py")
# Asked of the server as well as of the converter.
BOTH = (1, 3, 5, 6, 7, 8, 11, 13, 17, 19, 20, 27, 37, 39, 41)


def numbers(group):
    return [int(word) for word in CASES[group][1].split()]


def dialogues():
    found = {}
    for path in glob.glob(f"{SOURCE}/tests/dialogue/[0-9]*.test"):
        name = os.path.basename(path)
        found.setdefault(int(name.split("_")[0]), []).append(name)
    return found


def functions(name):
    found = {}
    with open(f"{SOURCE}/tests/e2e/{name}", encoding="utf-8") as file:
        for test in re.findall(r"^def (test_[0-9]\w+)\(", file.read(), re.M):
            for number in re.match(r"test_((?:\d+_)+)", test)[1].strip("_").split("_"):
                found.setdefault(int(number), []).append(f"{name}:{test}")
    return found


def tests():
    found = dialogues()
    for name in FILES:
        for number, places in functions(name).items():
            found.setdefault(number, []).extend(places)
    return found


def test_every_case_has_a_test():
    found = tests()
    missing = [f"{group}{number}" for group in CASES if group not in WAITING for number in numbers(group)
               if number not in found]
    equal(missing, [], "cases without a test")
    for group, (what, _) in CASES.items():
        there = [number for number in numbers(group) if number in found]
        waits = f", the rest waits for {WAITING[group]}" if group in WAITING and len(there) < len(numbers(group)) else ""
        print(f"{group} {what}: {len(there)} of {len(numbers(group))} have a test{waits}")


def test_converter_and_server():
    for number in BOTH:
        for name in FILES:
            assert number in functions(name), (number, name)


def test_numbers_are_those_of_one_group():
    every = [number for group in CASES for number in numbers(group)]
    equal(every, sorted(set(every)), "in order, once each")
    equal(len(every), 122, "cases")
    assert set(WAITING) < set(CASES)


run(globals())
