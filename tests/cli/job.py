# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the commands share: a folder that holds a reference, a query, and a model that
was fitted once for all of them (tests/fixture.py)."""
import os
import re
import shutil
import sys
import tempfile

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
import fixture  # noqa: E402
import harness  # noqa: E402
from harness import main  # noqa: E402, F401
from fixture import N_CELLS, QUICK, SHORT  # noqa: E402, F401

CLOSING = re.compile(r"^scweave \d+\.\d+\.\d+: .*: [\d.]+ s wall, [\d.]+ s CPU, \d+ MB peak$")


class Job(harness.Case):
    """Commands that work on data, in a folder of their own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="scweave-cli-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        fixture.place(cls.program, cls.folder)
        with open(cls.path("text.h5mu"), "w", encoding="utf-8") as file:
            file.write("this is not HDF5\n")

    @staticmethod
    def fit(output, *words, options=QUICK):
        return ["fit", "matilda", "reference.h5mu", "--label", "cell_type", "-o", output, *options,
                *words]

    def tearDown(self):
        left = [f for f in os.listdir(self.folder) if ".tmp" in f]
        self.assertEqual(left, [], "temporary files are left")
