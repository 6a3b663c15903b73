#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Kills a fit with SIGKILL at random moments, resumes it each time, and compares the model with that of
the uninterrupted fit, byte by byte.

    bench/survival.py SCWEAVE DATA [--model matilda] [--kills 10] [--seed 1] [-- options of fit]

Each moment is a fit of its own, killed somewhere between its start and its end; then one more fit is
killed again and again, until it is through. Status 1 if a single byte differs."""
import argparse
import filecmp
import os
import random
import subprocess
import sys
import tempfile
import time


def fit(args, output, *words, kill_after=None):
    """Run to the end, or for so many seconds; status and what was said."""
    command = [args.scweave, "fit", args.model, args.data, "-o", output, *words, *args.options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True) as run:
        try:
            _, err = run.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            run.kill()
            _, err = run.communicate()
    return run.returncode, err


def continued(err):
    return next((line for line in err.splitlines() if line.startswith("continued")), "from the start")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("scweave")
    parser.add_argument("data")
    parser.add_argument("--model", default="matilda")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = parser.parse_args(sys.argv[1:split])
    args.options = sys.argv[split + 1:]
    moments = random.Random(args.seed)
    often = ["--checkpoint-minutes", "0.01", "--checkpoint-epochs", "1"]
    different = 0

    with tempfile.TemporaryDirectory() as folder:
        whole, killed = os.path.join(folder, "whole"), os.path.join(folder, "killed")
        start = time.monotonic()
        status, err = fit(args, whole)
        if status != 0:
            sys.exit(err)
        seconds = time.monotonic() - start
        print(f"uninterrupted: {seconds:.1f} s, {os.path.getsize(whole)} bytes")
        for k in range(args.kills):
            after = moments.uniform(0, seconds)
            status, err = fit(args, killed, *often, kill_after=after)
            ended = "killed" if status < 0 else "had ended"
            status, err = fit(args, killed, *often, "--resume")
            same = status == 0 and filecmp.cmp(whole, killed, shallow=False)
            different += not same
            print(f"{k + 1:3d}  {ended} after {after:6.1f} s, {continued(err)}: "
                  f"{'same bytes' if same else 'DIFFERENT'}", flush=True)
            os.remove(killed)
        kills, status = 0, -1
        while status < 0:
            status, err = fit(args, killed, *often, "--resume",
                              kill_after=moments.uniform(0.1, 0.5) * seconds)
            kills += status < 0
        same = status == 0 and filecmp.cmp(whole, killed, shallow=False)
        different += not same
        left = sorted(set(os.listdir(folder)) - {"whole", "killed"})
        print(f"one fit, killed {kills} times on its way: {'same bytes' if same else 'DIFFERENT'}; "
              f"left beside it: {', '.join(left) or 'nothing'}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
