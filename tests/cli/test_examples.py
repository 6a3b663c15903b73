# SPDX-License-Identifier: BSD-3-Clause
"""The tutorial of the bridge: the script runs, and the page has its commands. Usage: test_examples.py SCWEAVE
[unittest arguments]"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import h5py

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
import harness  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "examples", "bridge.sh")


class Bridge(harness.Case):
    def setUp(self):
        self.at = tempfile.mkdtemp(prefix="scweave-bridge-")
        self.addCleanup(shutil.rmtree, self.at)

    def run_script(self, program, *words):
        done = subprocess.run([SCRIPT, program, os.path.join(self.at, "run"), *words], check=False,
                              capture_output=True, text=True, timeout=250)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_script_runs(self):
        said = self.run_script(self.program, "quick")
        self.assertRegex(said, r"cilisi +0\.\d+")
        self.assertIn("cells with the same name on both sides", said)
        for name in ("runs.png", "types.png", "pairs.tsv", "both.h5mu"):
            self.assertGreater(os.path.getsize(os.path.join(self.at, "run", name)), 0)
        with h5py.File(os.path.join(self.at, "run", "atlas.h5mu")) as file:
            self.assertEqual(file["obsm/X_clue"].shape[0], 420)
            for modality in ("rna", "atac"):
                group = file["mod/" + modality]
                self.assertEqual(group["obsm/X_clue"].shape[0], 270)
                # A cell with one modality is where that modality is.
                names = list(group["obs"][group["obs"].attrs["_index"]].asstr()[:])
                cells = list(file["obs"][file["obs"].attrs["_index"]].asstr()[:])
                row = next(k for k, name in enumerate(names) if name.endswith(modality + "_run"))
                self.assertEqual(list(group["obsm/X_clue"][row]), list(file["obsm/X_clue"][cells.index(names[row])]))

    def test_page_has_the_commands(self):
        """A program that does nothing prints them all."""
        said = re.findall(r"^\$ (scweave .*)$", self.run_script("/bin/true"), re.M)
        with open(os.path.join(ROOT, "docs", "tutorial_bridge.md"), encoding="utf-8") as file:
            page = re.findall(r"^    (scweave .*)$", file.read(), re.M)
        self.assertEqual(page, said)
        self.assertGreater(len(page), 10)


if __name__ == "__main__":
    harness.main()
