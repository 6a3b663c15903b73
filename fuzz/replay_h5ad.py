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
    make_bad.h5mu(directory / "base.h5mu", lambda f: None)
    rng = random.Random(11)
    for name, times in (("csr.h5ad", 40), ("legacy.h5ad", 40), ("mapped.h5mu", 40), ("base.h5mu", 90)):
        original = (directory / name).read_bytes()
        for k in range(times):
            copy = bytearray(original)
            for _ in range(rng.randint(1, 8)):
                copy[rng.randrange(len(copy))] = rng.randrange(256)
            (directory / f"damaged-{k}-{name}").write_bytes(copy)
    files = sorted(p for p in directory.iterdir() if p.is_file())
    failed = 0
    together = common.run(sys.argv[1], *files, check=False)
    for file in files if together.returncode else []: # one process each, to name what crashes it
        done = common.run(sys.argv[1], file, check=False)
        if done.returncode:
            failed += 1
            print("FAIL", file.name, done.returncode, done.stderr[-1500:])
    if together.returncode and not failed:
        failed += 1
        print("FAIL all in one process only", together.returncode, together.stderr[-1500:])
    print(f"{len(files)} files, {failed} failed")
    sys.exit(failed > 0)
