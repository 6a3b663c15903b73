# SPDX-License-Identifier: BSD-3-Clause
"""`scweave obs`: what a table becomes in obs, and what is refused. Usage: test_cli_obs.py SCWEAVE"""
import os

import h5py
import numpy as np

import job
from elements import read_elem
from fixture import N_CELLS


class Obs(job.Job):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.before = cls.obs("query.h5mu")
        cls.cells = list(cls.before.index)

    @classmethod
    def obs(cls, name):
        with h5py.File(cls.path(name)) as file:
            return read_elem(file["obs"])

    def table(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def add(self, *words):
        _, err = self.succeeds("obs", "query.h5mu", "-o", "out.h5mu", *words)
        return self.obs("out.h5mu"), err

    def wrong(self, expected, *words):
        self.fails(expected, "obs", "query.h5mu", "-o", "no.h5mu", *words)
        self.assertFalse(os.path.exists(self.path("no.h5mu")))

    def test_types_of_columns(self):
        rows = [f'"{c}",{i},{i / 4},"k, ""{i % 2}""",{"NA" if i == 3 else i}'
                for i, c in enumerate(self.cells)]
        self.table("t.csv", '\ufeff"",n,x,label,gaps\n' + "\n".join(reversed(rows)) + "\n")
        obs, _ = self.add("--table", "t.csv")
        self.assertEqual(obs["n"].tolist(), list(range(N_CELLS)))
        self.assertEqual(obs["n"].dtype, np.int64)
        self.assertEqual(obs["x"].tolist(), [i / 4 for i in range(N_CELLS)])
        self.assertEqual(list(obs["label"].cat.categories), ['k, "0"', 'k, "1"'])
        self.assertEqual(obs["label"].tolist()[:2], ['k, "0"', 'k, "1"'])
        self.assertEqual([i for i, m in enumerate(obs["gaps"].isna()) if m], [3])
        for name in self.before.columns:
            self.assertTrue(obs[name].equals(self.before[name]), name)

    def test_row_names_of_r(self):
        self.table("r.tsv", "label\n" + "".join(f"{c}\tA\n" for c in self.cells))
        obs, _ = self.add("--table", "r.tsv")
        self.assertEqual(set(obs["label"]), {"A"})

    def test_rows_for_groups(self):
        types = sorted(set(self.before["cell_type"]))
        self.table("g.tsv", "note\ttype\n" + "".join(f"of {t}\t{t}\n" for t in types[1:])
                   + "x\tno such type\n")
        obs, err = self.add("--table", "g.tsv", "--key", "type", "--by", "cell_type")
        without = sum(self.before["cell_type"] == types[0])
        self.assertIn(f"{without} of {N_CELLS} cells have no row", err)
        self.assertEqual(obs["note"].isna().sum(), without)
        for said, real in zip(obs["note"], self.before["cell_type"]):
            self.assertTrue(said != said or said == f"of {real}")

    def test_refused(self):
        self.table("other.tsv", "cell\tx\nnobody\t1\n")
        self.wrong("no row is for a cell of the data: column 'cell' has 'nobody', the first cell is",
                   "--table", "other.tsv")
        self.wrong("no column 'k'; there are: cell, x", "--table", "other.tsv", "--key", "k")
        self.wrong("nope", "--table", "other.tsv", "--by", "nope")
        self.table("twice.csv", f"cell,x\n{self.cells[0]},1\n{self.cells[0]},2\n")
        self.wrong("twice.csv, line 3: '.*' has a row already", "--table", "twice.csv")
        self.table("ragged.csv", f"cell,x\n{self.cells[0]},1\n{self.cells[1]}\n")
        self.wrong("ragged.csv, line 3: 1 cells, the header has 2", "--table", "ragged.csv")
        self.table("slash.csv", f"cell,a/b\n{self.cells[0]},1\n")
        self.wrong("'a/b' cannot be the name of a column", "--table", "slash.csv")
        self.table("one.csv", "cell\nx\n")
        self.wrong("has one column", "--table", "one.csv")
        self.wrong("is not a text file", "--table", "query.h5mu")
        self.wrong("cannot open", "--table", "absent.csv")
        self.refuses("--table is missing", "obs", "query.h5mu", "-o", "no.h5mu")
        self.refuses("--output other.tsv is the table", "obs", "query.h5mu", "--table", "other.tsv",
                     "-o", "other.tsv")


if __name__ == "__main__":
    job.main()
