# SPDX-License-Identifier: Apache-2.0
"""The `mmoe` tool's exit statuses and output forms.

    usage.py MMOE DATA SCRATCH
"""
import json
import pathlib
import shutil
import struct
import subprocess
import sys

OK, CHECK_FAILED, USAGE, REFUSED = 0, 1, 2, 3


def cases(data, scratch):
    """name, arguments, status, what stdout or stderr must hold"""
    checkpoint = data / "ct" / "w4a16_sym_g128"
    narrow = data / "awq_gptq" / "gptq_v1_w8_sym_g64"  # H is 128, not 256
    reference = checkpoint / "moe_io.safetensors"
    small = ["--shape", "8,2,256,128", "--tokens", "1,3", "--seconds", "0.01"]
    return [
        ("no command", [], USAGE, "usage: mmoe"),
        ("help", ["--help"], OK, "verify"),
        ("version", ["--version"], OK, "mmoe "),
        ("unknown command", ["frobnicate"], USAGE, "frobnicate"),
        ("help of a command", ["verify", "--help"], OK, "--reference"),
        ("unknown option", ["inspect", checkpoint, "--frob"], USAGE, "--frob"),
        ("missing argument", ["inspect"], USAGE, "expected 1 arguments"),
        ("missing value", ["verify", checkpoint, "--reference"], USAGE, "no value"),
        ("no number", ["run", checkpoint, "--tokens", "4x"], USAGE, "4x"),
        ("number out of range", ["run", checkpoint, "--tokens", "0"], USAGE, "from 1"),
        ("no such layer", ["run", checkpoint, "--layer", "2"], USAGE, "2 MoE layers"),
        ("unknown device", ["inspect", checkpoint, "--device", "tpu"], USAGE, "tpu"),
        ("info", ["info"], OK, "cpu"),
        ("inspect", ["inspect", checkpoint], OK, "int4 symmetric g128"),
        ("inspect ranks", ["inspect", checkpoint], OK, "tensor ranks of layers 0 to 1:\n"),
        ("inspect parts", ["inspect", checkpoint], OK, "      2  I 64, groups cut to 64\n"),
        ("inspect refused", ["inspect", checkpoint], OK, "      8  refused: use 4 tensor ranks, "),
        ("no checkpoint", ["inspect", scratch / "nothing"], REFUSED, "MMOE_ERR_NOT_FOUND"),
        ("odd split", ["inspect", checkpoint, "--tensor-ranks", "3"], CHECK_FAILED, "remedy"),
        ("plan", ["plan", checkpoint], OK, "all: bundles"),
        ("run", ["run", checkpoint, "--layer", "1"], OK, "checksum"),
        ("verify", ["verify", checkpoint, "--reference", reference], OK, "12 of 12"),
        ("verify in 8 bits", ["verify", checkpoint, "--reference", reference, "--precision", "int8"],
         OK, "6 of 6"),
        ("bad precision", ["run", checkpoint, "--precision", "int4"], USAGE, "int4"),
        ("verify one layer", ["verify", checkpoint, "--layer", "0"], OK, "2 of 2"),
        ("wrong reference", ["verify", narrow, "--reference", reference], CHECK_FAILED,
         "expected [1, 128]"),
        ("no case", ["verify", checkpoint, "--reference", checkpoint / "model.safetensors"],
         CHECK_FAILED, "0 of 0"),
        ("wrong weights", ["verify", scratch / "bad", "--reference", reference], CHECK_FAILED,
         "FAIL"),
        ("convert", ["convert", checkpoint, "1", scratch / "layer1"], OK, "opens in"),
        ("convert without a folder", ["convert", checkpoint, "0", scratch / "no" / "layer0"],
         REFUSED, "MMOE_ERR_NOT_FOUND"),
        ("convert no layer", ["convert", checkpoint, "2", scratch / "layer2"], USAGE,
         "2 MoE layers"),
        ("bench", ["bench", *small], OK, "tokens"),
        ("bench, 8 bits a channel", ["bench", *small, "--bits", "8", "--group", "channel"], OK,
         "int8"),
        ("bench in 8 bits", ["bench", *small, "--precision", "int8"], OK, "tokens"),
        ("bench, bad shape", ["bench", "--shape", "8,2,256"], USAGE, "shape"),
        ("bench, bad time", ["bench", *small, "--seconds", "soon"], USAGE, "soon"),
        ("bench, bad bits", ["bench", "--shape", "mixtral-8x7b", "--bits", "5"], USAGE, "bits"),
        ("bench, a row of the CPU", ["bench", *small, "--row", "x"], USAGE, "CUDA"),
        ("bench, a sweep of the CPU", ["bench", *small, "--sweep"], USAGE, "CUDA"),
    ]


def spoil_one_scale(checkpoint, spoiled):
    """Copies a checkpoint and doubles the scales of one projection."""
    shutil.rmtree(spoiled, ignore_errors=True)
    shutil.copytree(checkpoint, spoiled)
    path = spoiled / "model.safetensors"
    path.chmod(0o644)
    file = bytearray(path.read_bytes())
    (header_bytes,) = struct.unpack("<Q", file[:8])
    header = json.loads(file[8 : 8 + header_bytes])
    entry = header["model.layers.0.mlp.experts.3.down_proj.weight_scale"]
    begin, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
    for i in range(begin, end, 2):  # a bf16 doubles when its exponent grows by one
        (bits,) = struct.unpack("<H", file[i : i + 2])
        file[i : i + 2] = struct.pack("<H", bits + 0x80)
    path.write_bytes(file)


def check(mmoe, name, arguments, status, text):
    result = subprocess.run([mmoe, *arguments], capture_output=True, text=True, check=False,
                            stdin=subprocess.DEVNULL)
    output = result.stdout + result.stderr
    if result.returncode == status and text in output:
        return True
    print(f"{name}: expected status {status} and '{text}', got {result.returncode}\n{output}")
    return False


def same_bits_at_any_thread_count(mmoe, checkpoint):
    sums = set()
    for threads in ("1", "2", "3"):
        result = subprocess.run([mmoe, "run", checkpoint, "--threads", threads, "--json"],
                                capture_output=True, text=True, check=True)
        sums.add(json.loads(result.stdout)["checksum"])
    if len(sums) == 1:
        return True
    print(f"checksums differ between thread counts: {sums}")
    return False


def main():
    mmoe, data, scratch = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    scratch.mkdir(parents=True, exist_ok=True)
    spoil_one_scale(data / "ct" / "w4a16_sym_g128", scratch / "bad")
    failed = [row[0] for row in cases(data, scratch) if not check(mmoe, *row)]
    if not same_bits_at_any_thread_count(mmoe, data / "ct" / "w4a16_sym_g128"):
        failed.append("same bits at any thread count")
    if failed:
        sys.exit("failed: " + ", ".join(failed))
    print(f"{len(cases(data, scratch)) + 1} cases passed")


if __name__ == "__main__":
    main()
