#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the pictures of docs/layouts.md and docs/concepts.md, docs/images/*.svg, from the formulas
of kernels/layout: which word and field holds which weight is computed, not typed.

    draw.py            writes the pictures; needs nothing but Python
    draw.py --check    fails if a picture is not what it should be (a test of the library)
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
INK, PALE, GREY = "#1b1f24", "#f2f4f7", "#8b949e"
HUES = ["#cfe2ff", "#ffe3c2", "#d3f0dc", "#f3d6ee"]  # quarters and halves, light enough for text


class Picture:
    """A drawing in pixels, written as SVG with a white ground, so that it reads in dark pages too."""

    def __init__(self, width, height, title):
        self.size = width, height
        self.title = title
        self.parts = []

    def box(self, x, y, width, height, fill="white", stroke=INK):
        self.parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}" '
                          f'stroke="{stroke}"/>')

    def text(self, x, y, words, size=13, anchor="middle", colour=INK, bold=False):
        weight = ' font-weight="bold"' if bold else ""
        words = str(words).replace("&", "&amp;").replace("<", "&lt;")
        self.parts.append(f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" '
                          f'fill="{colour}"{weight}>{words}</text>')

    def arrow(self, x1, y1, x2, y2):
        self.parts.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{INK}" '
                          f'stroke-width="1.4" marker-end="url(#tip)"/>')

    def svg(self):
        width, height = self.size
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                f'viewBox="0 0 {width} {height}" font-family="DejaVu Sans, sans-serif">\n'
                f"<title>{self.title}</title>\n"
                '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
                f'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="{INK}"/></marker></defs>\n'
                f'<rect width="{width}" height="{height}" fill="white"/>\n')
        return head + "\n".join(self.parts) + "\n</svg>\n"


# ---- The formulas of kernels/layout ---------------------------------------------------------------

def marlin_place(k, n, bits):
    """marlin_place_in_tile() of kernels/layout/marlin.h, tile of 16 inputs by 64 outputs."""
    lane = 4 * (n % 8) + (k % 8) // 2
    quarter, half = n // 16, n % 16 // 8
    if bits == 4:
        return 4 * lane + quarter, k // 8 + 2 * half + 4 * (k % 2)
    return 8 * lane + 2 * quarter + half, k // 8 + 2 * (k % 2)


def record_shift(k, bits):
    """Shift of input k in its word: kernels/layout/cpu_record.h."""
    return 16 * (k % 2) + bits * (k // 2)


# ---- The pictures -----------------------------------------------------------------------------------

def pipeline():
    picture = Picture(900, 190, "From a checkpoint to an output")
    boxes = [("checkpoint", "tensors as the", "quantiser wrote them"),
             ("canonical", "codes, zero points,", "scales of one expert"),
             ("bundle", "repacked, on the", "device, shared"),
             ("executor", "kernels chosen,", "workspace")]
    for i, (name, first, second) in enumerate(boxes):
        x = 15 + 205 * i
        picture.box(x, 55, 160, 84, HUES[i])
        picture.text(x + 80, 80, name, 15, bold=True)
        picture.text(x + 80, 103, first, 12)
        picture.text(x + 80, 120, second, 12)
        picture.arrow(x + 160, 97, x + 202, 97)
    for i, verb in enumerate(["unpack", "repack", "run"]):
        picture.text(197 + 205 * i, 45, verb, 12, colour=GREY)
    picture.text(838, 92, "output", 13, "start")
    picture.text(838, 109, "[T, H]", 12, "start")
    picture.text(15, 172, "mmoe_bundle_load() does the first three; mmoe_executor_run() the last, once a "
                 "layer and call.", 12, "start", GREY)
    return picture


def cpu_word(bits):
    picture = Picture(900, 130, f"One word of a CPU record, {bits} bits")
    per_word, unit = 32 // bits, 840 // 32
    picture.text(30, 22, f"One 32-bit word: {per_word} inputs of one output, {bits} bits each", 13, "start", bold=True)
    for k in range(per_word):
        shift = record_shift(k, bits)
        x = 30 + unit * (32 - shift - bits)
        picture.box(x, 40, unit * bits, 40, HUES[k % 2])
        picture.text(x + unit * bits / 2, 65, f"k = {k}", 13)
        picture.text(x + unit * bits - 3, 96, shift, 10, "end", GREY)
        picture.text(x + 3, 96, shift + bits - 1, 10, "start", GREY)
    picture.text(30, 120, "bit numbers below; even inputs lie in the low half, odd ones in the high half",
                 11, "start", GREY)
    return picture


def cpu_record():
    picture = Picture(900, 250, "A CPU record")
    picture.text(20, 24, "One record: 64 outputs by one group of inputs (4 bits, g = 128, 16-bit scales)", 13,
                 "start", bold=True)
    fields = [("64 scales", "128 bytes", 130, HUES[1]), ("64 zero points", "64 bytes, if asymmetric", 170, HUES[3]),
              ("tile 0", "inputs 0..7", 110, HUES[0]), ("tile 1", "inputs 8..15", 110, HUES[0]),
              ("...", "", 60, PALE), ("tile 15", "inputs 120..127", 120, HUES[0])]
    x = 20
    for name, detail, width, fill in fields:
        picture.box(x, 42, width, 54, fill)
        picture.text(x + width / 2, 66, name, 13)
        picture.text(x + width / 2, 84, detail, 11, colour=GREY)
        x += width
    picture.text(20, 138, "One tile: 64 words of 32 bits, one for each output (lane)", 13, "start", bold=True)
    for lane in range(64):
        gate = lane < 32
        picture.box(20 + 13 * lane, 152, 13, 24, HUES[0] if gate else HUES[2])
    picture.text(20 + 13 * 16, 194, "lanes 0 .. 31: gate rows 32b .. 32b + 31", 12)
    picture.text(20 + 13 * 48, 194, "lanes 32 .. 63: up rows 32b .. 32b + 31", 12)
    picture.text(20, 232, "In a gated layer, block b holds 32 outputs of gate and the same 32 of up: the activation "
                 "finds both in one result.", 11, "start", GREY)
    return picture


def marlin_tile():
    cell, left, top = 46, 70, 62
    picture = Picture(left + 16 * cell + 20, top + 16 * 30 + 70, "The Marlin tile")
    picture.text(left, 22, "Outputs n = 0 .. 15 of a tile of 16 inputs by 64 outputs, 4 bits: word and field of "
                 "each weight", 13, "start", bold=True)
    picture.text(left, 42, "Columns 16 .. 63 repeat it with the words 4t + 1, 4t + 2, 4t + 3 of lane t.", 11,
                 "start", GREY)
    for n in range(16):
        picture.text(left + cell * n + cell / 2, top - 4, f"n {n}", 10, colour=GREY)
    for k in range(16):
        picture.text(left - 6, top + 30 * k + 19, f"k {k}", 10, "end", GREY)
        for n in range(16):
            word, field = marlin_place(k, n, 4)
            picture.box(left + cell * n, top + 30 * k, cell, 30, HUES[(k // 8) + 2 * (n // 8)], GREY)
            picture.text(left + cell * n + cell / 2, top + 30 * k + 19, f"{word}.{field}", 11)
    picture.text(left, top + 16 * 30 + 24, "8.6 means field 6 (bits 24 .. 27) of word 8. Lane t of a warp reads the "
                 "words 4t .. 4t + 3 in one go,", 11, "start", GREY)
    picture.text(left, top + 16 * 30 + 42, "and has just the weights that the tensor core's fragment wants of it. "
                 "Colours: the quarters of the tile that share a word.", 11, "start", GREY)
    return picture


def marlin_word():
    picture = Picture(900, 130, "One word of a Marlin tile, 4 bits")
    unit = 840 // 32
    picture.text(30, 22, "Word 0 of a tile (lane 0, quarter 0), 4 bits", 13, "start", bold=True)
    for k in range(16):
        for n in range(16):
            word, field = marlin_place(k, n, 4)
            if word != 0:
                continue
            x = 30 + unit * (28 - 4 * field)
            picture.box(x, 40, unit * 4, 40, HUES[(k // 8) + 2 * (n // 8)])
            picture.text(x + unit * 2, 65, f"k {k}, n {n}", 13)
            picture.text(x + unit * 4 - 3, 96, 4 * field, 10, "end", GREY)
    picture.text(30, 120, "k and k + 1 are 16 bits apart, so that one mask takes both as two 16-bit numbers", 11,
                 "start", GREY)
    return picture


PICTURES = {
    "pipeline": pipeline, "cpu_word_4": lambda: cpu_word(4), "cpu_word_8": lambda: cpu_word(8),
    "cpu_record": cpu_record, "marlin_tile": marlin_tile, "marlin_word": marlin_word,
}


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        raise SystemExit(__doc__)
    stale = []
    for name, draw in PICTURES.items():
        path, text = os.path.join(HERE, f"{name}.svg"), draw().svg()
        if not sys.argv[1:]:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        elif not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
            stale.append(f"docs/images/{name}.svg is stale: run docs/images/draw.py")
    print("\n".join(stale) if stale else f"{len(PICTURES)} pictures")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
