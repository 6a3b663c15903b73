# SPDX-License-Identifier: BSD-3-Clause
"""Little memory changes nothing but the memory: answers are those of a set that is read whole, or a clear no."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import scipy.sparse as sp

sys.path.append(str(Path(__file__).resolve().parents[1]))
from harness import Checks  # noqa: E402 pylint: disable=wrong-import-position

scweave = sys.argv[1]
checks = Checks()
expect = checks.expect


def run(*words, fails=None):
    done = subprocess.run([scweave, *map(str, words)], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "OMP_WAIT_POLICY": "passive"})
    if fails is None:
        expect(done.returncode == 0, f"{words}: exit {done.returncode}: {done.stderr}")
    else:
        expect(done.returncode == 1 and fails in done.stderr, f"{words}: exit {done.returncode}: {done.stderr}")
    return done


def differences(a, b):
    """Names of datasets and attributes that two files do not share."""
    found = []
    with h5py.File(a) as f, h5py.File(b) as g:
        def look(name, one):
            other = g.get(name)
            if other is None or set(one.attrs) != set(other.attrs):
                found.append(name)
            elif isinstance(one, h5py.Dataset):
                x, y = one[()], other[()]
                same = x == y if np.ndim(x) == 0 or x.dtype.kind != "f" else np.array_equal(x, y, equal_nan=True)
                if not np.all(same):
                    found.append(name)
        f.visititems(look)
        g.visititems(lambda name, one: found.append(name) if name not in f else None)
    return [name for name in found if name != "uns/scweave/command"]


def turn(path, target):
    """A copy with the RNA counts stored by columns."""
    shutil.copy(path, target)
    with h5py.File(target, "r+") as f:
        g = f["mod/rna/X"]
        x = sp.csr_matrix((g["data"][()], g["indices"][()], g["indptr"][()]), g.attrs["shape"]).tocsc()
        g.attrs["encoding-type"] = "csc_matrix"
        for name in ("data", "indices", "indptr"):
            del g[name]
            g.create_dataset(name, data=getattr(x, name), compression="gzip")


with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    data, model = folder / "ex.h5mu", folder / "m.safetensors"
    run("example", data, "--cells", 2600, "-q")
    words = ["fit", "matilda", data, "--label", "cell_type", "--epochs", 1, "--min-steps", 0, "--components", 10,
             "--threads", 1, "--calibration-folds", 0, "--subsets", "off", "--shortcut", "off"]
    run(*words, "-o", model, "-q")
    whole, parts = folder / "whole.h5mu", folder / "parts.h5mu"
    run("annotate", "-m", model, data, "-o", whole, "--embed", "--threads", 1)
    run("annotate", "-m", model, data, "-o", parts, "--embed", "--threads", 1, "--mem", "4M")  # in smaller blocks
    expect(not differences(whole, parts), f"annotate --mem: {differences(whole, parts)}")
    little = folder / "little.safetensors"
    done = run(*words, "-o", little, "--mem", "1M", "--tmp", folder)
    expect("temporary file" in done.stderr, f"fit kept its matrices in memory: {done.stderr}")
    expect(little.read_bytes() == model.read_bytes(), "fit --mem gives another model")
    run(*words, "-o", folder / "never.safetensors", "--mem", "1M", "--tmp", folder / "absent", fails="absent")
    csc = folder / "csc.h5mu"
    turn(data, csc)
    run("annotate", "-m", model, csc, "-o", folder / "csc_whole.h5mu", "--embed", "--threads", 1)
    run("annotate", "-m", model, csc, "-o", folder / "csc_parts.h5mu", "--embed", "--threads", 1, "--mem", "3M", "--tmp",
        folder)
    expect(not differences(folder / "csc_whole.h5mu", folder / "csc_parts.h5mu"), "annotate of csc --mem")
    out = folder / "never.h5mu"
    run("annotate", "-m", model, csc, "-o", out, "--mem", "3M", "--tmp", folder / "absent", fails="absent")
    run("annotate", "-m", model, data, "-o", out, "--mem", "1M", "--align", fails="--mem")
    expect(not out.exists() and not list(folder.glob("*.tmp-*")) and not list(folder.glob("scweave*")),
           f"something was left: {list(folder.iterdir())}")
    done = subprocess.run([scweave, "annotate", "-m", model, data, "-o", out, "--mem", "1X"], capture_output=True, text=True)
    expect(done.returncode == 2 and "--mem" in done.stderr, f"--mem 1X: {done.returncode} {done.stderr}")
    # Nothing is read of a matrix where obs and obsm are enough, not even a damaged one.
    with h5py.File(parts, "r+") as f:
        f["mod/rna/X/indices"][5] = 10 ** 6
    run("umap", parts, "--use", "X_matilda", "-o", folder / "u.h5mu", "--epochs", 5)
    run("evaluate", parts, "--label", "cell_type", "--prediction", "matilda_label")
    run("annotate", "-m", model, parts, "-o", out, "--mem", "4M", fails="column index 1000000")
checks.end("little memory")
