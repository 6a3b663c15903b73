# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the commands start from: a simulated reference and query, a model fitted on the
one, and the other annotated with it. tools/run_tests.py makes it once for all tests of a build and
says in FIXTURE where; a test that is run by hand makes its own."""
import os
import shutil
import subprocess

N_CELLS = 200
# A short training that does all that a fit can do; what it learns is judged elsewhere.
SHORT = ["--epochs", "2", "--min-steps", "0", "--components", "10", "--threads", "2",
         "--modality-weights", "off", "--shortcut-c", "10", "--library", "10000", "--count-steps",
         "20", "--calibration-folds", "2"]
# A fit whose result does not matter: few features, no twins.
QUICK = [*SHORT, "--modalities", "adt", "--calibration-folds", "0"]
FILES = ["reference.h5mu", "query.h5mu", "model.safetensors", "annotated.h5mu"]


def make(program, folder):
    reference, query, model, annotated = FILES
    for words in (["example", reference, "--cells", str(N_CELLS), "--narrow", "--seed", "1"],
                  ["example", query, "--cells", str(N_CELLS), "--narrow", "--seed", "2"],
                  ["fit", "matilda", reference, "--label", "cell_type", "-o", model, *SHORT],
                  ["annotate", "-m", model, query, "-o", annotated, "--embed"]):
        subprocess.run([program, *words, "--quiet"], cwd=folder, check=True)


def place(program, folder):
    """Copies of the files in this folder."""
    if "FIXTURE" in os.environ:
        shutil.copytree(os.environ["FIXTURE"], folder, dirs_exist_ok=True)
    else:
        make(program, folder)
