"""The result of bench/compare as a table, for a terminal or in Markdown."""
from . import stats

REASON = 300  # characters of why something was left out or failed


def header(result):
    """What must be quoted with every figure."""
    machine = result["machine"]
    lines = [f"{machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}, "
             f"{machine['filesystem']}, {machine['date']}",
             f"command: {result['command']}",
             f"whole rounds: {result['rounds_done']}, runs of {result['seconds']:g} s"]
    if result.get("cut"):
        lines.append(f"cut: {result['cut']}")
    if result.get("interrupted"):
        lines.append(f"interrupted: {result['interrupted']}; this is what was measured until then")
    return lines


def columns(result):
    """The loads that at least one server ran."""
    ran = {run["load"] for run in result["runs"]}
    return [load for load in result["loads"] if load["id"] in ran]


def cell_text(cell):
    """µs, the ratio to the reference of its class if there is one, a mark."""
    if cell is None:
        return "–"
    text = stats.rounded(cell["us"]["median"])
    if cell["ratio"]:
        text += f" ×{stats.rounded(cell['ratio']['median'])}"
    return text


def rows_of(result, servers):
    """[[title, cells..., memory, held rate]] of one class."""
    cells, memory, latency = stats.cells(result), stats.memory(result), stats.latency(result)
    rows = []
    for server in servers:
        name = server["name"]
        kib = memory.get(name)
        held = stats.held_rate(latency.get(name, []))
        rows.append([
            f"{server['title']} {server['version']}".strip() + (" *" if server["note"] else ""),
            *(cell_text(cells.get((name, load["id"]))) for load in columns(result)),
            stats.rounded(kib["kib_each"]["median"]) if kib else "–",
            f"{held:,}" if held else "–"])
    return rows


def heads(result):
    return ["server", *(load["title"] for load in columns(result)), "KiB/conn", "held/s"]


def one_line(reason):
    """What a program said, short enough for a list."""
    text = " ".join(reason.split())
    return text if len(text) <= REASON else f"{text[:REASON - 1]}…"


def notes(result):
    """What a reader of the table must know."""
    lines = [f"{server['title']}: {server['note']}" for server in result["servers"]
             if server["note"]]
    lines += [f"left out: {row['title']}: {one_line(row['reason'])}"
              for row in result["left_out"]]
    for (server, what), rows in stats.by(result["failures"], "server", "what").items():
        lines.append(f"failed: {server}, {what}: {one_line(rows[-1]['reason'])}"
                     + (f" ({len(rows)} times)" if len(rows) > 1 else ""))
    return lines


def legend(result):
    unsteady = sum(cell["unsteady"] for cell in stats.cells(result).values())
    pairs = sum(cell["ratio"]["count"] for cell in stats.cells(result).values() if cell["ratio"])
    return ("Server CPU, µs a message, ×: as a multiple of the first row of its class, both "
            "measured in turn; KiB/conn: memory of the processes for an idle connection; held/s: "
            "the highest offered rate of 4 KB messages that was held. "
            f"{unsteady} of {pairs} pairs were unsteady (the reference changed by over 25 %).")


def as_text(result):
    lines = header(result) + [""]
    titles = heads(result)
    for name, meaning, servers in stats.in_classes(result):
        lines.append(f"{name}: {meaning}")
        rows = [[""] + [str(number) for number in range(1, len(titles) - 2)] + titles[-2:],
                *rows_of(result, servers)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            lines.append("  " + "  ".join(
                text.ljust(width) if i == 0 else text.rjust(width)
                for i, (text, width) in enumerate(zip(row, widths))).rstrip())
        lines.append("")
    lines += [f"  {number}: {load['title']}" for number, load in enumerate(columns(result), 1)]
    return "\n".join([*lines, "", legend(result), *notes(result)])


def as_markdown(result):
    """One table; every row says what its 250 means."""
    titles = heads(result)
    lines = ["| its 250 | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for name, _, servers in stats.in_classes(result):
        for server, row in zip(servers, rows_of(result, servers)):
            lines.append(f"| **{name}**: {server['meaning']} | " + " | ".join(row) + " |")
    return "\n".join([*lines, "", legend(result), "", *(f"- {note}" for note in notes(result)),
                      "", *header(result)])
