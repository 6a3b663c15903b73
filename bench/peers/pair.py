#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Pairs of scweave and PyTorch: the same network, schedule and cells, by turns, one after the other.

    pair.py SCWEAVE FILE.h5mu --label KEY [--splits SPLITS.tsv] [--fold 0] [--epochs 30] [--batch-size 64]
            [--pairs 3] [--threads 2] [--programs compat,extras,default,loader,tensor] [--json]

Programs, in this order in each pair:
    compat   scweave fit matilda --compat: the authors' network and schedule and nothing else, what the
             peer does
    extras   the same and what users of scweave get with it by default and the peer has not: twins for
             calibration, answers for subsets of modalities, count decoders
    default  scweave with its own settings: another, smaller network with linear paths, all extras; its
             own number of epochs
    loader   PyTorch with Dataset and DataLoader, as the authors' users run it (matilda_torch.py)
    tensor   PyTorch fed as fast as we know how to, the same arithmetic

EPOCHS of stage 1, half as many in each half of stage 2; the authors' default is 30. Wall, CPU (user and
system) and peak resident memory are those of the whole process, from wait4, so they hold starting,
reading and saving; the peer also says what its own stages took, and "work" is its wall without the start
of Python and the import of PyTorch (for scweave it is the wall). Ratios are PyTorch's figure over
scweave's of the same pair, then their median. Losses are those of the last epoch of stage 1 and of the
last of all; accuracy is that on the cells held out, judged after the clock has stopped. Run it on an
idle machine. This process stays small, for a child's peak is not less than its parent's size."""
import argparse
import json
import os
import platform
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
PEER = os.path.join(HERE, "matilda_torch.py")
OURS = {"compat": ["--compat"],
        "extras": ["--compat", "--calibration-folds", "3", "--subsets", "on", "--likelihood", "auto"],
        "default": []}
PEERS = ["loader", "tensor"]
FIGURES = ["wall_s", "work_s", "cpu_s", "peak_mb"]


def measured(words):
    """Output, and wall, CPU and peak memory of a process."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = subprocess.Popen(words, stdout=out, stderr=err)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        for stream in (out, err):
            stream.seek(0)
        if child.returncode != 0:
            sys.exit(f"{' '.join(words)}\n{err.read().decode()}")
        figures = {"wall_s": wall, "work_s": wall, "cpu_s": used.ru_utime + used.ru_stime,
                   "peak_mb": used.ru_maxrss / 1024}
        return out.read().decode(), figures


def named(files):
    return [f"{name}={path}" for name, path in files.items()]


def losses_of(model):
    """Loss of stage 1's last epoch and of the last of all, from the model file's record."""
    with open(model, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    for value in header["__metadata__"].values():
        history = find_history(value)
        if history:
            first = [row["loss"] for row in history if row["phase"] == "stage 1"]
            return first[-1], history[-1]["loss"]
    return None, None


def find_history(text):
    try:
        value = json.loads(text)
    except ValueError:
        return None
    while isinstance(value, dict):
        if "history" in value:
            return value["history"]
        value = value.get("record")
    return None


def ours(wanted, name, files, folder):
    model = os.path.join(folder, f"{name}.safetensors")
    words = [wanted.scweave, "fit", "matilda", *named(files["train"]), "--label", wanted.label, "-o", model,
             *OURS[name], "--seed", "1", "--threads", str(wanted.threads), "--quiet"]
    if name != "default":
        words += ["--epochs", str(wanted.epochs), "--balance-epochs", str(max(1, wanted.epochs // 2)),
                  "--batch-size", str(wanted.batch_size)]
    _, figures = measured(words)
    figures["stage1_loss"], figures["last_loss"] = losses_of(model)
    answered = os.path.join(folder, "answered.h5mu" if len(files["test"]) > 1 else "answered.h5ad")
    measured([wanted.scweave, "annotate", "-m", model, *named(files["test"]), "-o", answered, "--quiet"])
    text, _ = measured([wanted.scweave, "evaluate", answered, "--label", wanted.label, "--prediction",
                        "matilda_label", "--json"])
    figures["accuracy"] = json.loads(text)["annotation"]["accuracy"]
    return figures


def peer(wanted, name, files, folder):
    model = os.path.join(folder, f"{name}.pt")
    text, figures = measured([PYTHON, PEER, "fit", *named(files["train"]), "--label", wanted.label, "--save",
                              model, "--epochs", str(wanted.epochs), "--batch-size", str(wanted.batch_size),
                              "--threads", str(wanted.threads), "--way", name])
    said = json.loads(text)
    figures["work_s"] -= said["seconds"]["start"]
    text, _ = measured([PYTHON, PEER, "judge", *named(files["test"]), "--label", wanted.label, "--model", model])
    return {**figures, **{k: said[k] for k in ("stage1_loss", "last_loss", "seconds", "torch")},
            "accuracy": json.loads(text)["accuracy"]}


def ratios(pairs, chosen):
    """{peer: {ours: {figure: median over pairs of peer / ours}}}."""
    return {p: {o: {f: statistics.median(pair[p][f] / pair[o][f] for pair in pairs) for f in FIGURES}
                for o in chosen if o in OURS} for p in chosen if p in PEERS}


def machine():
    with open("/proc/cpuinfo") as f:
        model = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    blas = os.path.realpath(f"/usr/lib/{platform.machine()}-linux-gnu/libblas.so.3")
    return {"processor": model[0] if model else platform.machine(), "cores": os.cpu_count(),
            "load_at_start": os.getloadavg()[0], "blas_of_torch": blas}


def row(name, figures):
    cells = "".join(f"{figures[f]:10.{d}f}" for f, d in zip(FIGURES, (2, 2, 2, 0)))
    return (f"  {name:8}{cells}{figures['stage1_loss']:13.4f}{figures['last_loss']:12.4f}"
            f"{figures['accuracy']:10.4f}")


def show_pair(number, pair):
    print(f"pair {number}\n  {'':8}{'wall s':>10}{'work s':>10}{'CPU s':>10}{'peak MB':>10}{'stage 1 loss':>13}"
          f"{'last loss':>12}{'accuracy':>10}")
    for name, figures in pair.items():
        print(row(name, figures))
    for name in PEERS:
        if name in pair:
            laps = ", ".join(f"{k} {v:.2f}" for k, v in pair[name]["seconds"].items())
            print(f"  {name}, seconds by itself: {laps}")
    sys.stdout.flush()


def show_ratios(found, pairs):
    print(f"\nPyTorch's figure over scweave's, median of {len(pairs)}\n"
          f"  {'':8}{'over':10}{'wall':>8}{'work':>8}{'CPU':>8}{'memory':>8}")
    for name, others in found.items():
        for other, figures in others.items():
            print(f"  {name:8}{other:10}" + "".join(f"{figures[f]:8.2f}" for f in FIGURES))


def describe(report):
    train, m = report["shapes"]["train"], report["machine"]
    parts = ", ".join(f"{name} {n} x {f}" for name, (n, f) in train.items())
    print(f"{report['file']}: {parts}; {next(iter(report['shapes']['test'].values()))[0]} cells held out\n"
          f"{report['epochs']} epochs, then 2 x {max(1, report['epochs'] // 2)} on balanced classes, batch "
          f"{report['batch_size']}, {report['threads']} threads\n"
          f"{m['processor']}, {m['cores']} cores, load {m['load_at_start']:.1f} at the start; BLAS of "
          f"PyTorch: {m['blas_of_torch']}\n"
          "compat: the same network and schedule; extras: with calibration, subsets and count decoders;\n"
          "default: another network, its own epochs; loader, tensor: PyTorch (--help says more)\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scweave")
    parser.add_argument("file")
    parser.add_argument("--label", default="cell_type")
    parser.add_argument("--splits")
    parser.add_argument("--fold", default="0")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--programs", default="compat,extras,default,loader,tensor")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    chosen = wanted.programs.split(",")
    for name in chosen:
        if name not in OURS and name not in PEERS:
            parser.error(f"there is no program '{name}'")
    with tempfile.TemporaryDirectory() as folder:
        text, _ = measured([PYTHON, os.path.join(HERE, "split.py"), wanted.file, folder, wanted.label,
                            *([wanted.splits, wanted.fold] if wanted.splits else [])])
        split = json.loads(text)
        report = {"file": os.path.basename(wanted.file), "shapes": split["shapes"], "machine": machine(),
                  **{k: getattr(wanted, k) for k in ("epochs", "batch_size", "threads")}, "pairs": []}
        if not wanted.json:
            describe(report)
        for k in range(wanted.pairs):
            report["pairs"].append({name: (ours if name in OURS else peer)(wanted, name, split["files"], folder)
                                    for name in chosen})
            if not wanted.json:
                show_pair(k + 1, report["pairs"][-1])
    report["ratios"] = ratios(report["pairs"], chosen)
    if wanted.json:
        print(json.dumps(report, indent=1))
    else:
        show_ratios(report["ratios"], report["pairs"])


if __name__ == "__main__":
    main()
