"""The result of bench/scaling: what shape the curves have, as text and as a page."""
from html import escape

from . import stats, svg
from .page import document, figure, html_table, listed
from .scaling_run import AXES
from .table import header, one_line

TOLERANCE = 1.25


def points(result):
    """{(axis, workers): [(x, {us, floor_us, ratio})] by x}"""
    found = {}
    for (axis, workers, x), runs in stats.by(result["runs"], "axis", "workers", "x").items():
        found.setdefault((axis, workers), []).append((x, {
            "us": stats.spread(run["us"] for run in runs),
            "floor_us": stats.spread(run["floor_us"] for run in runs),
            "ratio": stats.spread(run["us"] / run["floor_us"] for run in runs),
            "rate": stats.spread(run["rate"] for run in runs)}))
    return {key: sorted(row, key=lambda point: point[0]) for key, row in found.items()}


def growth(costs):
    """The most that a point costs as a multiple of one with a smaller x: 1 when nothing grows."""
    least, most = float("inf"), 1.0
    for cost in costs:
        most = max(most, cost / least)
        least = min(least, cost)
    return most


def line_through(xs, ys):
    """(a, b) of a + b x with the least relative errors squared."""
    w = [1 / (y * y) for y in ys]
    sw, sx = sum(w), sum(wi * x for wi, x in zip(w, xs))
    sy, sxx = sum(wi * y for wi, y in zip(w, ys)), sum(wi * x * x for wi, x in zip(w, xs))
    sxy = sum(wi * x * y for wi, x, y in zip(w, xs, ys))
    slope = (sw * sxy - sx * sy) / (sw * sxx - sx * sx)
    return (sy - slope * sx) / sw, slope


def shape(axis, row):
    """(is it what was asked for, in words)"""
    xs, costs = [x for x, _ in row], [cell["us"]["median"] for _, cell in row]
    if len(xs) < 3:
        return False, "too few points to tell"
    if AXES[axis][2] == "flat":
        most = growth(costs)
        return most <= TOLERANCE, f"grows by at most {100 * (most - 1):.0f} %"
    start, slope = line_through(xs, costs)
    missed = max(abs(cost / (start + slope * x) - 1) for x, cost in zip(xs, costs))
    return missed <= TOLERANCE - 1, (f"{stats.rounded(start)} µs + {stats.rounded(slope)} µs x "
                                     f"misses by at most {100 * missed:.0f} %")


def verdicts(result):
    """[(axis, workers, is_good, words)]. A curve that has not the shape is still good when the
    floor's has the same: then it is the kernel's and the caches'."""
    found = []
    for (axis, workers), row in points(result).items():
        is_good, words = shape(axis, row)
        wanted = AXES[axis][2]
        ratios = [cell["ratio"]["median"] for _, cell in row]
        more = growth(ratios)
        if is_good:
            words = f"{wanted}: {words}"
        elif len(row) > 2 and more <= TOLERANCE:
            is_good = True
            words = (f"as the floor: {words}, and so does the floor; "
                     f"the ratio grows by at most {100 * (more - 1):.0f} %")
        else:
            words = f"NOT {wanted}: {words}, the ratio grows by {100 * (more - 1):.0f} %"
        found.append((axis, workers, is_good,
                      f"{words}; {min(ratios):.2f} to {max(ratios):.2f} times the floor"))
    return found


def named(axis, workers):
    return f"{axis}, {workers} worker{'s' if workers > 1 else ''}"


def rows_of(row):
    return [[f"{x:,}", stats.range_text(cell["us"]), stats.range_text(cell["floor_us"]),
             stats.range_text(cell["ratio"]), stats.rounded(cell["rate"]["median"])]
            for x, cell in row]


def heads(axis):
    return [AXES[axis][0], "mxring, µs a message", "floor, µs a message", "ratio", "messages/s"]


def as_text(result):
    lines = header(result)
    said = {(axis, workers): words for axis, workers, _, words in verdicts(result)}
    for (axis, workers), row in points(result).items():
        table = [heads(axis), *rows_of(row)]
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
        lines += ["", f"{named(axis, workers)}: {said[axis, workers]}"]
        lines += ["  " + "  ".join(text.rjust(width) for text, width in zip(line, widths))
                  for line in table]
    return "\n".join([*lines, *failures(result)])


def failures(result):
    return [f"failed: {row['what']}: {one_line(row['reason'])}" for row in result["failures"]]


def series(found, axis, name, label):
    """The lines of one axis, one for each number of workers."""
    rows = [(workers, row) for (of, workers), row in found.items() if of == axis]
    return [{"label": f"{label}, {workers} worker{'s' if workers > 1 else ''}",
             "colour": 2 * number + (label == "floor"),
             "points": [(x, *(cell[name][part] for part in ("median", "low", "high")))
                        for x, cell in row]} for number, (workers, row) in enumerate(rows)]


def axis_plots(result, axis):
    found = points(result)
    what = AXES[axis][0]
    return [svg.lines(series(found, axis, "us", "mxring") + series(found, axis, "floor_us", "floor"),
                      f"Server CPU a message over {axis}", what, "µs a message"),
            svg.lines(series(found, axis, "ratio", "mxring / floor"),
                      f"What mxring adds, over {axis}", what, "times the floor", (True, False))]


def page(result):
    found = points(result)
    good = sum(is_good for _, _, is_good, _ in verdicts(result))
    parts = ["<h1>What a message costs as everything grows</h1>",
             "<p>" + "<br>".join(escape(line) for line in header(result)) + "</p>",
             f"<p>{good} of {len(verdicts(result))} curves have the shape that was asked for. "
             "The floor is bench-floor, the least that a server can do on this kernel, measured "
             "just before and behind each run under the same load: what it costs is the "
             "kernel's.</p>",
             listed([f"{named(axis, workers)}: {words}"
                     for axis, workers, _, words in verdicts(result)]), listed(failures(result))]
    for axis in AXES:
        rows = [entry for (of, workers), row in found.items() if of == axis
                for entry in (named(axis, workers), *rows_of(row))]
        if rows:
            parts += [f"<h2>{escape(axis.capitalize())}</h2>",
                      *(figure(one) for one in axis_plots(result, axis)),
                      html_table(heads(axis), rows)]
    return document("bench/scaling", "".join(parts), result)


def plot(result):
    """The cost over the first axis as a file of its own."""
    axis = next(axis for axis, _ in points(result))
    return svg.alone(axis_plots(result, axis)[0], header(result)[:2])
