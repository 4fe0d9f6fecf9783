"""Medians and ranges of what bench/compare has measured. Everything here reads the JSON result."""
import statistics


def spread(values):
    """{median, low, high, count} or None."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    return {"median": statistics.median(values), "low": min(values), "high": max(values),
            "count": len(values)}


def by(rows, *names):
    """{key: rows}, in order of appearance; the key is the value, or the tuple of them."""
    found = {}
    for row in rows:
        key = tuple(row[name] for name in names)
        found.setdefault(key if len(names) > 1 else key[0], []).append(row)
    return found


def cells(result):
    """{(server, load): {us, rate, ratio, client_limited, unsteady, sessions}} of all that ran."""
    found = {}
    for key, runs in by(result["runs"], "server", "load").items():
        pairs = [run for run in runs if "reference_us" in run]
        found[key] = {
            "us": spread(run["us"] for run in runs),
            "rate": spread(run["rate"] for run in runs),
            "ratio": spread(run["us"] / run["reference_us"] for run in pairs),
            "rate_ratio": spread(run["rate"] / run["reference_rate"] for run in pairs),
            "client_limited": 2 * sum(run["verdict"] == "generator-limited"
                                      for run in runs) > len(runs),
            "unsteady": sum(run["unsteady"] for run in pairs),
            "sessions": runs[0]["sessions"],
        }
    return found


def memory(result):
    """{server: {kib_each, connections, kind}}"""
    return {server: {"kib_each": spread(run["kib_each"] for run in runs),
                     "connections": runs[0]["connections"], "kind": runs[0]["kind"]}
            for server, runs in by(result["memory"], "server").items()}


def latency(result):
    """{server: [{offered, p50, p99, us, is_held}] by rate}: medians over the rounds."""
    found = {}
    for (server, offered), runs in by(result["latency"], "server", "offered").items():
        found.setdefault(server, []).append({
            "offered": offered,
            "is_held": 2 * sum(run["is_held"] for run in runs) > len(runs),
            **{name: spread(run["latency_us"][name] for run in runs) for name in ("p50", "p99")},
            "us": spread(run["us"] for run in runs),
            "rate": spread(run["rate"] for run in runs)})
    return {server: sorted(points, key=lambda point: point["offered"])
            for server, points in found.items()}


def held_rate(points):
    """The highest offered rate that was held, or None."""
    held = [point["offered"] for point in points if point["is_held"]]
    return max(held, default=None)


def in_classes(result):
    """[(class, meaning, servers)]: classes that have a server."""
    return [(name, meaning, servers) for name, meaning in result["classes"].items()
            if (servers := [server for server in result["servers"] if server["class"] == name])]


def rounded(value):
    """Three significant digits, no exponent: 0.0123, 1.23, 123, 12,300."""
    if value == 0:
        return "0"
    digits = 0
    size = abs(value)
    while size < 100 and digits < 4:
        size *= 10
        digits += 1
    if digits == 0:
        step = 1
        while abs(value) / step >= 1000:
            step *= 10
        return f"{round(value / step) * step:,}"
    return f"{value:.{digits}f}"


def range_text(spread_of):
    """12.3 (11.9–12.8)"""
    low, high = rounded(spread_of["low"]), rounded(spread_of["high"])
    return f"{rounded(spread_of['median'])} ({low}–{high})"
