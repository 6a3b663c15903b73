# SPDX-License-Identifier: BSD-3-Clause
"""Replay: good, bad and damaged files, generated here, through the fuzz target."""
import random
import sys
import tempfile
from pathlib import Path

sys.path += [str(Path(__file__).resolve().parents[1] / "tests" / d) for d in ("io", "bad")]
import common
import make_bad
import make_inputs

with tempfile.TemporaryDirectory() as scratch:
    directory = Path(scratch)
    make_bad.make(directory)
    for step in (make_inputs.current, make_inputs.legacy, make_inputs.partial_h5mu):
        step(directory)
    rng = random.Random(11)
    for name in ("csr.h5ad", "legacy.h5ad", "mapped.h5mu"):
        original = (directory / name).read_bytes()
        for k in range(40):
            copy = bytearray(original)
            for _ in range(rng.randint(1, 8)):
                copy[rng.randrange(len(copy))] = rng.randrange(256)
            (directory / f"damaged-{k}-{name}").write_bytes(copy)
    files = sorted(p for p in directory.iterdir() if p.is_file())
    failed = 0
    for file in files: # one process each, so that a crash names its file
        done = common.run(sys.argv[1], file, check=False)
        if done.returncode:
            failed += 1
            print("FAIL", file.name, done.returncode, done.stderr[-1500:])
    print(f"{len(files)} files, {failed} failed")
    sys.exit(failed > 0)
