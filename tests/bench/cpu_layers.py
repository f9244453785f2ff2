#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times whole layers on the CPU in alternating rounds and appends medians to a CSV file.

    cpu_layers.py --mmoe build/cpu/examples/mmoe [--rounds 5] [--seconds 0.4] [--csv FILE]

Every round runs every case once, one process each, so that a slow minute of a shared machine
falls on all of them; the tool takes its read and peak probes in the same process. Printed are the
median share of the roof that a case is judged by, and ratios between cases of the same rounds.
"""
import argparse
import csv
import datetime
import itertools
import json
import os
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHAPES = ("qwen3-30b", "qwen3.5-122b", "mixtral-8x7b")
COLUMNS = ("date", "commit", "processor", "threads", "shape", "bits", "symmetric", "group_size",
           "dtype", "tier", "tokens", "us_median", "us_p10", "us_p90", "weight_gbps",
           "read_probe_gbps", "share_of_read_probe", "gflops", "peak_gflops", "share_of_peak",
           "share_of_roof", "rounds", "row")


def case(shape, tokens, bits=4, asymmetric=True, group=128, tier="best", threads=0, pin=None):
    return {"shape": shape, "tokens": tokens, "bits": bits, "asymmetric": asymmetric,
            "group": group, "tier": tier, "threads": threads, "pin": pin}


def all_cases():
    """What issue tables and the performance guide ask for."""
    for shape in SHAPES:
        for tokens in (1, 16, 64, 256):
            yield case(shape, tokens)
        yield case(shape, 1, group=32)
        yield case(shape, 1, bits=8)
        yield case(shape, 1, tier="avx2")
    yield case("qwen3-30b", 512)
    for tokens in (1, 256):
        yield case("qwen3-30b", tokens, asymmetric=False)
        yield case("qwen3-30b", tokens, threads=1)
    yield case("qwen3-30b", 256, tier="avx2")
    # Two threads on one processor, and one: what an oversubscribed machine loses.
    yield case("qwen3-30b", 16, threads=1, pin=0)
    yield case("qwen3-30b", 16, threads=2, pin=0)


def run(mmoe, seconds, settings):
    command = [str(mmoe), "bench", "--json", "--seconds", str(seconds),
               "--shape", settings["shape"], "--tokens", str(settings["tokens"]),
               "--bits", str(settings["bits"]), "--group", str(settings["group"]),
               "--tier", settings["tier"], "--threads", str(settings["threads"])]
    if settings["asymmetric"]:
        command.append("--asymmetric")
    if settings["pin"] is not None:
        command = ["taskset", "-c", str(settings["pin"])] + command
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(output)["results"][0]


def median_row(settings, samples, facts):
    middle = {key: statistics.median(sample[key] for sample in samples)
              for key in ("us_median", "us_p10", "us_p90", "weight_gbps", "read_probe_gbps",
                          "share_of_read_probe", "gflops", "peak_gflops", "share_of_peak",
                          "share_of_roof")}
    row = {key: f"{value:.4g}" if key.startswith("share") else f"{value:.2f}"
           for key, value in middle.items()}
    threads = settings["threads"] or os.cpu_count()
    if settings["pin"] is not None:
        threads = f"{threads} on one processor"
    return {**facts, **row, "threads": threads, "shape": settings["shape"],
            "bits": settings["bits"], "symmetric": int(not settings["asymmetric"]),
            "group_size": settings["group"], "dtype": "bf16", "tier": settings["tier"],
            "tokens": settings["tokens"], "rounds": len(samples), "row": samples[0]["row"]}


def processor_name():
    for line in open("/proc/cpuinfo", encoding="ascii", errors="replace"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def facts_of_run():
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout.strip()
    return {"date": datetime.date.today().isoformat(), "commit": commit,
            "processor": processor_name()}


def print_ratio(results, name, one, other):
    """Median over rounds of time(one) / time(other), taken in the same round."""
    pairs = zip(results[json.dumps(one)], results[json.dumps(other)])
    ratio = statistics.median(a["us_median"] / b["us_median"] for a, b in pairs)
    print(f"{name:58} {ratio:6.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mmoe", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--csv", type=pathlib.Path)
    arguments = parser.parse_args()

    cases = list(all_cases())
    results = {json.dumps(settings): [] for settings in cases}
    for _, settings in itertools.product(range(arguments.rounds), cases):
        results[json.dumps(settings)].append(run(arguments.mmoe, arguments.seconds, settings))

    facts = facts_of_run()
    rows = [median_row(settings, results[json.dumps(settings)], facts) for settings in cases]
    for row in rows:
        print(f"{row['shape']:13} int{row['bits']} {'sym' if row['symmetric'] else 'asym':4} "
              f"g{row['group_size']:<4} {row['tier']:5} T={row['tokens']:<4} "
              f"threads {row['threads']}: {row['us_median']:>10} us, of read "
              f"{row['share_of_read_probe']:>6}, of peak {row['share_of_peak']:>6}, of roof "
              f"{row['share_of_roof']:>6}")
    for tokens in (1, 256):
        print_ratio(results, f"asymmetric / symmetric, qwen3-30b, T={tokens}",
                    case("qwen3-30b", tokens), case("qwen3-30b", tokens, asymmetric=False))
    print_ratio(results, "two threads on one processor / one thread, qwen3-30b, T=16",
                case("qwen3-30b", 16, threads=2, pin=0), case("qwen3-30b", 16, threads=1, pin=0))
    if arguments.csv is not None:
        new = not arguments.csv.exists()
        with open(arguments.csv, "a", encoding="ascii", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
