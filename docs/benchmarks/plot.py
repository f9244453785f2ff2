#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/benchmarks/plots/*.svg and *.png from the CSV files beside this script: for every
shape, tokens against the time of one layer, with the rivals and the roofline; and all shapes in one
picture, for the README, in a form for wide and one for narrow windows.

    plot.py            draws them; needs matplotlib (Debian: python3-matplotlib)
    plot.py --points   prints the newest point of every shape and number of tokens, as a table
    plot.py --ratios   prints the tables of README.md that follow from the CSV files
    plot.py --check    says which of those README.md has otherwise
"""
import csv
import math
import os
import sys
from collections import namedtuple

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "plots")

SHAPES = {
    "qwen3-30b": "Qwen3-30B: E 128, top 8, H 2048, I 768",
    "qwen3.5-122b": "Qwen3.5-122B: E 256, top 8, H 3072, I 1024",
    "mixtral-8x7b": "Mixtral-8x7B: E 8, top 2, H 4096, I 14336",
    "deepseek-v3": "DeepSeek-V3: E 256, top 8, H 7168, I 2048",
}
# Implementation -> name in the legend, colour, width of its line, marker. In the order drawn.
LINES = {
    "torch grouped_mm": ("torch grouped_mm, bf16 weights", "#9a9a9a", 1.2, "v"),
    "Humming": ("Humming, the faster of its two forms", "#2e8b57", 1.4, "s"),
    "vLLM fused Marlin MoE": ("vLLM fused Marlin MoE", "#d9822b", 1.4, "^"),
    "marlin-moe": ("marlin-moe", "#1f5fbf", 2.4, "o"),
}
RIVALS = [name for name in LINES if name != "marlin-moe"]
# Points that another kernel serves since they were measured, and the commit of that measurement.
SERVED_OTHERWISE = {("mixtral-8x7b", 32): "8a6b3cd"}  # past the border of the decode row
Point = namedtuple("Point", "us commit age")  # age: the number of its commit in the file


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def own_points(kernels=""):
    """(shape, tokens) -> Point: the newest row counts, of the kernels with this part in their names.
    4 bits, zero points, groups of 128."""
    points, commits = {}, []
    for row in read("h100.csv"):
        if row["commit"] not in commits:
            commits.append(row["commit"])
        weights = row["bits"], row["symmetric"], row["group_size"], row["dtype"]
        if weights == ("4", "0", "128", "bf16") and kernels in row["row"]:
            commit = row["commit"]
            place = row["shape"], int(row["tokens"])
            points[place] = Point(float(row["us_median"]), commit, commits.index(commit))
    return points


def outdated(ages):
    """Which points lie between newer ones, and so were measured with code that their neighbours no
    longer run: a line through them would be no line of any version.

    >>> outdated([2, 0, 2, 1, 1, 3, 3])
    [False, True, False, True, True, False, False]
    >>> outdated([0, 0, 1, 2])  # the last were measured again: nothing is between
    [False, False, False, False]
    """
    return [max(ages[:i], default=-1) > age < max(ages[i + 1:], default=-1)
            for i, age in enumerate(ages)]


def all_points():
    """implementation -> {(shape, tokens): us}, the two forms of Humming joined."""
    points = {"marlin-moe": {place: point.us for place, point in own_points().items()}}
    for row in read("rivals.csv"):
        name = "Humming" if row["implementation"].startswith("Humming") else row["implementation"]
        line = points.setdefault(name, {})
        place = row["shape"], int(row["tokens"])
        line[place] = min(float(row["us_median"]), line.get(place, float("inf")))
    return points


def line_of(points, implementation, shape):
    places = sorted(tokens for s, tokens in points[implementation] if s == shape)
    return places, [points[implementation][shape, tokens] for tokens in places]


def draw_own(axes, shape, label, colour, width, marker):
    """One line of the points that belong together; those of code that no longer serves hollow."""
    points = {place: point for place, point in own_points().items() if place[0] == shape}
    places = sorted(points)
    old = [is_outdated or SERVED_OTHERWISE.get(place) == points[place].commit
           for place, is_outdated in zip(places, outdated([points[place].age for place in places]))]
    line = [(place[1], points[place].us) for place, is_old in zip(places, old) if not is_old]
    beside = [(place[1], points[place].us) for place, is_old in zip(places, old) if is_old]
    axes.plot(*zip(*line), marker=marker, color=colour, linewidth=width, markersize=2.2 * width,
              label=label)
    if beside:
        axes.plot(*zip(*beside), marker, color=colour, markerfacecolor="white",
                  markersize=1.8 * width, label=f"{label}, earlier code")


def draw_shape(axes, points, shape):
    tokens, roof = line_of(points, "roof", shape)
    axes.fill_between(tokens, roof, 1, color="#e9ecef", linewidth=0)
    axes.plot(tokens, roof, "--", color="#555555", linewidth=1.2, label="roofline of the card")
    for name, (label, colour, width, marker) in LINES.items():
        if name == "marlin-moe":
            draw_own(axes, shape, label, colour, width, marker)
            continue
        tokens, times = line_of(points, name, shape)
        axes.plot(tokens, times, marker=marker, color=colour, linewidth=width, markersize=2.2 * width,
                  label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_title(SHAPES[shape], fontsize=10)
    axes.set_ylim(min(roof) * 0.8, None)
    axes.set_xlim(0.9, 9100)
    ticks = [1, 4, 16, 64, 256, 1024, 4096]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(True, which="major", color="#d5d8dc", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def save(figure, name):
    for kind in ("svg", "png"):
        # No date and no random ids: equal numbers give equal files.
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(os.path.join(OUT, f"{name}.{kind}"), metadata=metadata, dpi=120)


def draw():
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "marlin-moe", "font.family": "DejaVu Sans", "font.size": 9})
    from matplotlib import pyplot
    os.makedirs(OUT, exist_ok=True)
    points = all_points()
    for shape in SHAPES:
        figure, axes = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
        draw_shape(axes, points, shape)
        axes.set_xlabel("tokens in one call")
        axes.set_ylabel("time of one layer, µs")
        axes.legend(frameon=False, fontsize=8, loc="upper left")
        save(figure, shape)
        pyplot.close(figure)
    draw_overview(pyplot, points, "overview", rows=2, columns=2, size=(9.6, 6.6), legend_columns=3)
    draw_overview(pyplot, points, "overview-narrow", rows=4, columns=1, size=(4.2, 11.4),
                  legend_columns=1)


def draw_overview(pyplot, points, name, rows, columns, size, legend_columns):
    figure, grid = pyplot.subplots(rows, columns, figsize=size, layout="constrained")
    entries = {}  # of the legend: what stands in any of the pictures
    for axes, shape in zip(grid.flat, SHAPES):
        draw_shape(axes, points, shape)
        handles, labels = axes.get_legend_handles_labels()
        entries.update(zip(labels, handles))
    figure.supxlabel("tokens in one call", fontsize=9)
    figure.supylabel("time of one layer on an H100, µs (both axes are logarithmic)", fontsize=9)
    legend = figure.legend(list(entries.values())[::-1], list(entries)[::-1], loc="upper center",
                           ncols=legend_columns, frameon=False, fontsize=9)
    height = legend.get_window_extent().height / figure.bbox.height
    figure.get_layout_engine().set(rect=(0, 0, 1, 0.99 - height))  # below the legend
    save(figure, name)
    pyplot.close(figure)


def print_points():
    points = all_points()
    print("shape,tokens," + ",".join(f"{name} us" for name in (*LINES, "roof")))
    for shape, tokens in points["roof"]:
        cells = [points[name].get((shape, tokens)) for name in (*LINES, "roof")]
        print(f"{shape},{tokens}," + ",".join("" if cell is None else f"{cell:.2f}" for cell in cells))


def markdown(head, rows):
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (head, *rows)).replace(
        "\n", "\n" + "|---" * len(head) + "|\n", 1)


def name_of(shape):
    return SHAPES[shape].split(":")[0]


def ratio_table(times, others, tokens):
    """Of times of the same points, a line a shape."""
    return markdown(["shape", *map(str, tokens)],
                    [[name_of(shape), *(f"{times[shape, t] / others[shape, t]:.2f}" for t in tokens)]
                     for shape in SHAPES])


def decode_table(points, general):
    """Where a decode row was measured, in microseconds."""
    decode, rows, above = own_points("moe_decode."), [], None
    for shape in SHAPES:
        for tokens in (1, 4, 16, 64):
            place = shape, tokens
            if place not in decode:
                continue
            times = (points["vLLM fused Marlin MoE"][place], general[place], decode[place].us,
                     points["roof"][place])
            rows.append(["" if shape == above else name_of(shape), str(tokens),
                         *(f"{us:.1f}" if us < 1000 else f"{us:.0f}" for us in times)])
            above = shape
    return markdown(["shape", "tokens", "Marlin", "general rows", "decode row", "roof"], rows)


def summary(own, fastest, roof):
    faster = sum(own[place] < fastest[place] for place in roof)
    mean = math.exp(sum(math.log(own[place] / roof[place]) for place in roof) / len(roof))
    return (f"{faster} of {len(roof)} points are faster than the fastest existing kernel; the geometric "
            f"mean of time over roof is {mean:.2f}.\n")


def ratios():
    """What README.md has from the CSV files: (title, text)."""
    points = all_points()
    own, roof = points["marlin-moe"], points["roof"]
    general = {place: point.us for place, point in own_points(".sm80").items()}
    fastest = {place: min(points[name].get(place, math.inf) for name in RIVALS) for place in roof}
    yield ("General rows over vLLM's Marlin",
           ratio_table(general, points["vLLM fused Marlin MoE"],
                       (1, 4, 16, 64, 256, 512, 1024, 2048, 8192)))
    yield "Decode, microseconds", decode_table(points, general)
    yield ("Newest points over the fastest existing kernel",
           ratio_table(own, fastest, (128, 256, 512, 1024, 2048, 4096, 8192)))
    yield "All points", summary(own, fastest, roof)


def print_ratios():
    print("\n".join(f"{title}:\n\n{text}" for title, text in ratios()), end="")


def check_ratios():
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
        page = " ".join(file.read().split())
    stale = [title for title, text in ratios() if " ".join(text.split()) not in page]
    if stale:
        raise SystemExit("README.md differs from plot.py --ratios: " + "; ".join(stale))


if __name__ == "__main__":
    ACTIONS = {"": draw, "--points": print_points, "--ratios": print_ratios, "--check": check_ratios}
    action = ACTIONS.get(" ".join(sys.argv[1:]))
    if action is None:
        raise SystemExit(__doc__)
    action()
