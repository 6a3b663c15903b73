# SPDX-License-Identifier: BSD-3-Clause
"""How fast are rows of a csr file read in blocks, beside h5py and zlib reading the same three arrays?

usage: bench/blocks.py TOOL BATCHES_TOOL FILE.h5ad [--element X] [--repeats 3]

TOOL and BATCHES_TOOL are tests/io/blocks_tool and tests/io/batches_tool of a build. Everything is measured in one
run, each method in turn, `repeats` times; the best wall and the best CPU time of each are kept (the CPU time says
more where others use the machine). h5py reads blocks of 4,194,304 entries into arrays; "zlib" decompresses the raw
chunks with zlib alone, which is what any reader must do. Needs h5py and numpy."""
import json
import subprocess
import sys
import time
import zlib

import h5py
import numpy

BLOCK = 4 << 20


def read_h5py(path, element):
    with h5py.File(path) as f:
        group = f[element]
        total = 0.0
        for name in ("indptr", "indices", "data"):
            d = group[name]
            out = numpy.empty(min(BLOCK, d.shape[0]), d.dtype)
            for at in range(0, d.shape[0], BLOCK):
                n = min(BLOCK, d.shape[0] - at)
                d.read_direct(out, numpy.s_[at:at + n], numpy.s_[:n])
            total += float(out[0])
        return group.attrs["shape"][0]


def read_zlib(path, element):
    with h5py.File(path) as f:
        for name in ("indptr", "indices", "data"):
            d = f[element][name]
            if d.compression != "gzip" or d.shuffle:
                return None
            for at in range(0, d.shape[0], d.chunks[0]):
                zlib.decompress(d.id.read_direct_chunk((at,))[1])
        return f[element].attrs["shape"][0]


def timed(read, *arguments):
    wall, cpu = time.perf_counter(), time.process_time()
    rows = read(*arguments)
    return rows, time.perf_counter() - wall, time.process_time() - cpu


def run_tool(tool, path, element, threads):
    done = subprocess.run([tool, "time", path, element, "--threads", str(threads)], capture_output=True, text=True,
                          check=True)
    seen = json.loads(done.stdout)
    return seen["rows"], seen["seconds"], seen["cpu_seconds"]


def main():
    words = sys.argv[1:]
    if len(words) < 3:
        sys.exit(__doc__)
    tool, batches, path = words[:3]
    element = words[words.index("--element") + 1] if "--element" in words else "X"
    repeats = int(words[words.index("--repeats") + 1]) if "--repeats" in words else 3
    methods = {"h5py": lambda: timed(read_h5py, path, element), "zlib": lambda: timed(read_zlib, path, element),
               "scweave, 1 thread": lambda: run_tool(tool, path, element, 1),
               "scweave, 2 threads": lambda: run_tool(tool, path, element, 2)}
    best = {}
    for _ in range(repeats):
        for name, method in methods.items():
            rows, wall, cpu = method()
            if rows is None:
                continue
            old = best.get(name, (rows, wall, cpu))
            best[name] = (rows, min(old[1], wall), min(old[2], cpu))
    rows, wall, cpu = best["h5py"]
    print("| reader | rows/s (wall) | rows a CPU second | wall beside h5py | CPU beside h5py |\n|---|---|---|---|---|")
    for name, (_, w, c) in best.items():
        print(f"| {name} | {rows / w:,.0f} | {rows / c:,.0f} | {wall / w:.2f} | {cpu / c:.2f} |")
    done = subprocess.run([batches, path, "--mem", "1000000000"], capture_output=True, text=True, check=True)
    print("\nten training batches of 64 cells with --mem 1G:", done.stdout.strip())


if __name__ == "__main__":
    main()
