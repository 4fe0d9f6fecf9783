"""A result as one HTML file that needs nothing else."""
import json
from html import escape

from . import stats, svg, table

PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ {light} }}
@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.15rem; margin-top: 2.2rem; }}
p, li {{ max-width: 46rem; }} .dim {{ color: var(--dim); }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 13px; }}
th, td {{ padding: .3rem .6rem; border-bottom: 1px solid var(--grid); text-align: right;
  vertical-align: top; font-variant-numeric: tabular-nums; }}
th:first-child, td:first-child {{ text-align: left; }}
td.words, th.words {{ text-align: left; }}
tr.class td {{ font-weight: 600; background: var(--panel); text-align: left; }}
figure {{ margin: 1.5rem 0; overflow-x: auto; }} svg {{ max-width: none; }}
code {{ font-size: 13px; }}
{style}</style>
{body}
<script type="application/json" id="result">{data}</script>
</html>
"""


def document(title, body, result):
    data = json.dumps(result, separators=(",", ":")).replace("</", "<\\/")
    return PAGE.format(title=escape(title), light=svg.LIGHT, dark=svg.DARK, style=svg.STYLE,
                       body=body, data=data)


def figure(plot):
    return f"<figure>{plot}</figure>" if plot else ""


def html_table(head, rows, words=0):
    """rows: lists of text, or a string for a line across. words: so many columns are left."""
    def line(cells, tag):
        return "<tr>" + "".join(
            f"<{tag}{' class=words' if i < words else ''}>{escape(str(cell))}</{tag}>"
            for i, cell in enumerate(cells)) + "</tr>"

    body = "".join(f'<tr class="class"><td colspan="{len(head)}">{escape(row)}</td></tr>'
                   if isinstance(row, str) else line(row, "td") for row in rows)
    return f'<div class="wide"><table>{line(head, "th")}{body}</table></div>'


def is_ours(name):
    return name.startswith("mxring")


def dot_groups(result, row_of):
    """For svg.dots: row_of(server) gives the row's numbers or None."""
    groups = []
    for name, meaning, servers in stats.in_classes(result):
        rows = [{"label": f"{server['title']} {server['version']}".strip(),
                 "is_ours": is_ours(server["name"]), **row}
                for server in servers if (row := row_of(server["name"]))]
        if rows:
            groups.append((f"{name}: {meaning}", rows))
    return groups


def cost_plot(result, load, cells):
    def row(name):
        cell = cells.get((name, load["id"]))
        ratio = cell and cell["ratio"]
        return cell and {**cell["us"], "more": f"×{stats.range_text(ratio)}" if ratio else ""}

    return svg.dots(dot_groups(result, row), f"Server CPU a message: {load['title']}",
                    "µs a message (user + system, all processes); logarithmic")


def rate_plot(result, load, cells):
    def row(name):
        cell = cells.get((name, load["id"]))
        return cell and {**cell["rate"], "is_hollow": cell["client_limited"]}

    return svg.dots(dot_groups(result, row), f"Rate: {load['title']}",
                    "messages a second; hollow: the client was the limit; logarithmic")


def memory_plot(result):
    memory = stats.memory(result)

    def row(name):
        found = memory.get(name)
        if not found or found["kib_each"]["low"] <= 0:
            return None
        return {**found["kib_each"], "more": f"{found['connections']} connections, {found['kind']}"}

    return svg.dots(dot_groups(result, row), "Memory of an idle connection",
                    "KiB of the server's processes, beyond what they use without; logarithmic")


def rate_series(result, servers, name):
    """Lines over the offered rate: of a latency, or of the CPU time."""
    latency = stats.latency(result)
    return [{"label": server["title"], "colour": colour,
             "points": [(point["offered"], *(max(point[name][part] / factor, 1e-6)
                                             for part in ("median", "low", "high")))
                        for point in latency.get(server["name"], [])],
             "hollow": [point["offered"] for point in latency.get(server["name"], [])
                        if not point["is_held"]]}
            for colour, server in enumerate(servers)
            for factor in [1 if name == "us" else 1000]]


def latency_plots(result):
    parts = []
    for name, meaning, servers in stats.in_classes(result):
        if not any(server["name"] in stats.latency(result) for server in servers):
            continue
        parts.append(f"<h3>{escape(name)}</h3><p class=dim>{escape(meaning)}</p>")
        for kind, title, unit in (("p50", "Latency, median", "ms"), ("p99", "Latency, p99", "ms"),
                                  ("us", "Server CPU a message", "µs")):
            parts.append(figure(svg.lines(rate_series(result, servers, kind), title,
                                          "offered rate, messages a second", unit)))
    return "".join(parts)


def servers_table(result):
    rows = [[server["title"], server["version"], server["class"], server["meaning"],
             server["config"], server["note"]] for server in result["servers"]]
    return html_table(["server", "version", "class", "what its 250 means", "configuration",
                       "note"], rows, 6)


def listed(lines):
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""


def compare_page(result):
    cells = stats.cells(result)
    rows = []
    for name, meaning, servers in stats.in_classes(result):
        rows += [f"{name}: {meaning}", *table.rows_of(result, servers)]
    loads = table.columns(result)
    parts = [
        "<h1>Mail servers under the same load</h1>",
        "<p>" + "<br>".join(escape(line) for line in table.header(result)) + "</p>",
        "<p>Servers run on one CPU, the load on another, over loopback. Compare only rows of one "
        "class: they promise different things. Dots are medians, the lines through them go from "
        "the lowest to the highest run; × is the ratio to the first row of its class, taken with "
        "the runs just before and behind. Absolute figures belong to this machine, and to the "
        "minute in which they were taken.</p>",
        html_table(table.heads(result), rows), f"<p class=dim>{escape(table.legend(result))}</p>"]
    if loads:
        parts.append("<h2>Server CPU for each message</h2>")
        parts += [figure(cost_plot(result, load, cells)) for load in loads]
        parts.append("<h2>Rate</h2><p>With all servers on one CPU and one client on another; "
                     "where the client was the limit, the server could do more.</p>")
        parts += [figure(rate_plot(result, load, cells)) for load in loads]
    if result["memory"]:
        parts += ["<h2>Memory for each connection</h2>", figure(memory_plot(result))]
    if result["latency"]:
        parts.append("<h2>Latency against offered rate</h2><p>4 KB messages on connections that "
                     "stay, begun at fixed times whatever the server does; latency counts from "
                     "when a message was due until its final 250. Hollow points: the rate was not "
                     "held, the server is saturated.</p>" + latency_plots(result))
    parts += ["<h2>The servers</h2>", servers_table(result), listed(table.notes(result)),
              "<p class=dim>The raw figures are in this file, as JSON.</p>"]
    return document("bench/compare", "".join(parts), result)


def compare_plot(result):
    """The plot of the first load as a file of its own."""
    loads = table.columns(result)
    if not loads:
        return svg.alone(memory_plot(result), table.header(result))
    return svg.alone(cost_plot(result, loads[0], stats.cells(result)), table.header(result)[:2])
