"""Plots as SVG: dots with their ranges, and lines, both mostly on logarithmic axes.

Colours are CSS classes, so that the page can be light or dark; alone() makes a file of one plot.
"""
import math
from html import escape

from .stats import rounded

STYLE = """\
svg { font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .dim { fill: var(--dim); }
svg .grid { stroke: var(--grid); stroke-width: 1; }
svg .range { stroke: var(--dot); stroke-width: 2; opacity: .5; }
svg .dot { fill: var(--dot); stroke: var(--dot); stroke-width: 1.5; }
svg .ours .dot { fill: var(--ours); stroke: var(--ours); }
svg .ours .range { stroke: var(--ours); }
svg .hollow .dot, svg .ours.hollow .dot { fill: var(--paper); }
svg .ours text.name { font-weight: 600; }
svg .line { fill: none; stroke-width: 2; }
svg .head { font-weight: 600; }
"""
LIGHT = ("--ink:#1b1f24;--dim:#606870;--grid:#dfe3e8;--dot:#4a6a8a;--ours:#c2410c;--paper:#ffffff;"
         "--panel:#f6f7f9;")
DARK = ("--ink:#e6e9ec;--dim:#9aa3ad;--grid:#333a42;--dot:#8fb3d9;--ours:#ff8a4c;--paper:#14171a;"
        "--panel:#1c2126;")
# Told apart also by those who see few colours; the first is ours.
COLOURS = ("#c2410c", "#0072b2", "#009e73", "#b8860b", "#a64d8f", "#56a0d3", "#6b7280", "#7a5c3e")
DASHES = ("", "", "", "", "6 3", "6 3", "2 3", "2 3")
LABELS, PLOT, VALUES, ROW = 240, 380, 220, 20


def text(x, y, words, kind="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
            f"{escape(str(words))}</text>")


class Axis:
    """From a value to a place between begin and end; logarithmic, or from zero on."""

    def __init__(self, values, begin, end, is_log=True):
        self.begin, self.end, self.is_log = begin, end, is_log
        low, high = min(values), max(values)
        if is_log:
            self.low = self.step(low, -1)
            self.high = self.step(high, 1)
        else:
            self.low, self.high = 0, high * 1.05 or 1

    @staticmethod
    def step(value, direction):
        """The next 1, 2 or 5 times a power of ten below or above the value."""
        power = 10.0 ** math.floor(math.log10(value))
        steps = [power * factor for factor in (0.5, 1, 2, 5, 10, 20)]
        if direction < 0:
            return max(step for step in steps if step < value * 0.999)
        return min(step for step in steps if step > value * 1.001)

    def at(self, value):
        if self.is_log:
            value = max(value, self.low)
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        if not self.is_log:
            step = self.step(self.high / 6, 1)
            return [step * i for i in range(int(self.high / step) + 1)]
        decades = math.log10(self.high / self.low)
        factors = (1, 2, 5) if decades <= 2 else (1, 3) if decades <= 3 else (1,)
        found = [10.0 ** power * factor
                 for power in range(math.floor(math.log10(self.low)),
                                    math.ceil(math.log10(self.high)) + 1) for factor in factors]
        return [tick for tick in found if self.low * 0.999 <= tick <= self.high * 1.001]


def short(value):
    """Of an axis: 100, 20k, 5M."""
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{unit}"
    return f"{value:g}"


def dots(groups, title, unit):
    """groups: [(head, [{label, median, low, high, is_ours, is_hollow, more}])]: a plot with a line
    for each row, all on one axis."""
    rows = [row for _, group in groups for row in group]
    if not rows:
        return ""
    axis = Axis([value for row in rows for value in (row["low"], row["high"])], LABELS,
                LABELS + PLOT)
    top = 30
    height = top + sum(ROW * (len(group) + 1) for _, group in groups) + 36
    parts = [text(0, 14, title, "head")]
    for tick in axis.ticks():
        x = axis.at(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" '
                     f'y2="{height - 34}"/>')
        parts.append(text(x, height - 18, short(tick), "dim", "middle"))
    parts.append(text(LABELS + PLOT / 2, height - 3, unit, "dim", "middle"))
    y = top + 8
    for head, group in groups:
        parts.append(text(0, y + 4, head, "dim"))
        y += ROW
        for row in group:
            kind = " ".join(name for name, is_so in (("ours", row.get("is_ours")),
                                                     ("hollow", row.get("is_hollow"))) if is_so)
            low, high = axis.at(row["low"]), axis.at(row["high"])
            shown = rounded(row["median"]) + (f"  {row['more']}" if row.get("more") else "")
            parts.append(
                f'<g class="{kind}">{text(12, y + 4, row["label"], "name")}'
                f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
                f'<circle class="dot" cx="{axis.at(row["median"]):.1f}" cy="{y}" r="4">'
                f"<title>{escape(row['label'])}: {rounded(row['low'])} to {rounded(row['high'])}"
                f"</title></circle>{text(LABELS + PLOT + 12, y + 4, shown)}</g>")
            y += ROW
    return whole(parts, LABELS + PLOT + VALUES, height)


def apart(places, least):
    """The places in order, moved so that two are not nearer than that."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    found, last = list(places), -math.inf
    for i in order:
        found[i] = last = max(places[i], last + least)
    return found


def lines(series, title, x_title, y_title, is_log=(True, True)):
    """series: [{label, points: [(x, median, low, high)], colour: index, hollow: [x, ...]}]."""
    series = [one for one in series if one["points"]]
    if not series:
        return ""
    left, top, width, height = 56, 30, 480, 260
    x_axis = Axis([p[0] for one in series for p in one["points"]], left, left + width, is_log[0])
    y_axis = Axis([v for one in series for p in one["points"] for v in p[1:]], top + height, top,
                  is_log[1])
    parts = [text(0, 14, title, "head")]
    for tick in x_axis.ticks():
        x = x_axis.at(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" '
                     f'y2="{top + height}"/>{text(x, top + height + 16, short(tick), "dim", "middle")}')
    for tick in y_axis.ticks():
        y = y_axis.at(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{left + width}" y1="{y:.1f}" '
                     f'y2="{y:.1f}"/>{text(left - 6, y + 4, short(tick), "dim", "end")}')
    parts.append(text(left + width / 2, top + height + 34, x_title, "dim", "middle"))
    parts.append(text(0, top - 2, y_title, "dim"))
    ends = apart([y_axis.at(one["points"][-1][1]) for one in series], 14)
    for one, end in zip(series, ends):
        parts.append(one_line(one, x_axis, y_axis, end))
    return whole(parts, left + width + 190, top + height + 40)


def one_line(one, x_axis, y_axis, label_y):
    """A line, its ranges and its name behind the last point."""
    colour = COLOURS[one["colour"] % len(COLOURS)]
    dash = DASHES[one["colour"] % len(DASHES)]
    places = [(x_axis.at(x), y_axis.at(y)) for x, y, _, _ in one["points"]]
    parts = ['<polyline class="line" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
             + f'" stroke="{colour}" stroke-dasharray="{dash}"/>']
    for (x, y), (value, median, low, high) in zip(places, one["points"]):
        fill = "var(--paper)" if value in one.get("hollow", ()) else colour
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y_axis.at(low):.1f}" '
                     f'y2="{y_axis.at(high):.1f}" stroke="{colour}" opacity=".5"/>'
                     f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" stroke="{colour}" fill="{fill}">'
                     f"<title>{escape(one['label'])}: {rounded(median)} at {rounded(value)}"
                     f"</title></circle>")
    x, y = places[-1]
    parts.append(f'<line x1="{x + 4:.1f}" y1="{y:.1f}" x2="{x_axis.end + 8}" y2="{label_y:.1f}" '
                 f'stroke="{colour}" opacity=".35"/>'
                 f'<text x="{x_axis.end + 12}" y="{label_y + 4:.1f}" style="fill:{colour}">'
                 f"{escape(one['label'])}</text>")
    return "".join(parts)


def whole(parts, width, height):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -4 {width + 16} {height + 8}" '
            f'width="{width + 16}" height="{height + 8}" role="img">{"".join(parts)}</svg>')


def alone(plot, below):
    """A file of one plot, black on white, with lines of text below it."""
    head, body = plot.split(">", 1)
    width, height = (float(head.split(f'{name}="')[1].split('"')[0]) for name in ("width", "height"))
    full = height + 16 * len(below) + 8
    head = head.replace(f'height="{height:g}"', f'height="{full:g}"').replace(
        head.split('viewBox="')[1].split('"')[0], f"-8 -4 {width:g} {full:g}")
    notes = "".join(text(0, height + 8 + 16 * i, line, "dim") for i, line in enumerate(below))
    paper = f'<rect x="-8" y="-4" width="{width:g}" height="{full:g}" fill="var(--paper)"/>'
    file = f"{head}><style>{STYLE}</style>{paper}{body.removesuffix('</svg>')}{notes}</svg>\n"
    for name, value in (entry.split(":") for entry in LIGHT.split(";") if entry):
        file = file.replace(f"var({name})", value)  # not every viewer knows variables
    return file
