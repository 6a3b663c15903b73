# SPDX-License-Identifier: BSD-3-Clause
"""scweave report: the page about a run. Usage: test_report.py SCWEAVE [unittest arguments]"""
import base64
import html.parser
import json
import os
import shutil
import tempfile
import unittest

import common

VOID = {"meta", "img", "br"}


class Page(html.parser.HTMLParser):
    """A page whose tags nest; its words, headings, pictures and every address in it."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.headings, self.pictures, self.addresses = [], [], [], [], []
        self.tags = set()
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name in ("src", "href"):
                self.addresses.append(value)
            if name == "src":
                self.pictures.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)

    @property
    def text(self):
        return "\n".join(self.words)


class Report(common.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def page(self, run, *words):
        self.succeeds("report", run, "-o", "page.html", *words)
        with open(self.path("page.html"), encoding="utf-8") as file:
            text = file.read()
        page = Page(text)
        for address in page.addresses:  # nothing is fetched from elsewhere
            self.assertTrue(address.startswith("data:image/png;base64,"), address[:60])
            data = base64.b64decode(address.split(",", 1)[1], validate=True)
            self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
            self.assertEqual(data[-12:-4], b"\0\0\0\0IEND")
        self.assertNotIn("script", page.tags)
        self.assertNotIn("link", page.tags)
        self.assertNotIn("http:", text)
        self.assertNotIn("https:", text)
        return page

    def make(self, name):
        os.mkdir(self.path(name))
        return self.path(name)

    def test_whole_run(self):
        run = self.make("run")
        self.succeeds("example", "ref.h5mu", "--narrow", "--cells", "200")
        self.succeeds("fit", "matilda", "ref.h5mu", "--label", "cell_type", "-o",
                      "run/weights", *common.QUICK, "--seed", "77")
        self.succeeds("annotate", "-m", "run/weights", "ref.h5mu", "--embed", "-o", "run/cells")
        self.succeeds("example", "run/raw.h5mu", "--narrow", "--cells", "60")
        common.write_markers(os.path.join(run, "m"), ["B", "T"])
        with open(os.path.join(run, "scores"), "w", encoding="utf-8") as file:
            json.dump({"folds": [{}, {}], "summary": {
                "matilda": {"accuracy_mean": 0.9, "accuracy_sd": 0.0123, "macro_f1_mean": 0.7,
                            "macro_f1_sd": 0.1},
                "knn": {"accuracy_mean": 0.5, "accuracy_sd": 0.1}}}, file)
        page = self.page("run")
        self.assertEqual(page.headings, ["Model and settings", "Data", "Scores", "Training", "Cells",
                                         "Markers"])
        for words in ("epochs", "77", "weights", "raw.h5mu: cells; another file", "0.900 ± 0.012",
                      "k nearest neighbours", "2 folds", "CD14 monocyte", "macro-F1",
                      "scweave umap annotated.h5mu"):
            self.assertIn(words, page.text)
        if common.PICTURES:
            self.assertEqual(len(page.pictures), 4)  # training, confusion, composition, markers
        before = self.content("page.html")
        self.page("run")
        self.assertEqual(self.content("page.html"), before)

    def test_cells_only_and_hostile_names(self):
        run = self.make("odd")
        common.write_cells(os.path.join(run, "cells.h5ad"), hostile=True)
        common.write_markers(os.path.join(run, "markers.tsv"), common.HOSTILE)
        page = self.page("odd", "--label", "cell_type", "--prediction", "matilda_label", "--title",
                         common.HOSTILE[0])
        self.assertIn(common.HOSTILE[0], page.words)  # as words, not as a tag
        self.assertIn(common.HOSTILE[1], page.text)
        for words in ("There is no model file", "scweave fit matilda", "--cv SPLITS.tsv"):
            self.assertIn(words, page.text)
        if common.PICTURES:
            self.assertEqual(len(page.pictures), 5)

    def test_damaged_files_are_named(self):
        run = self.make("damaged")
        common.write_model(os.path.join(run, "m.safetensors"))
        common.write_markers(os.path.join(run, "markers.tsv"), ["a"])
        for name, data in (("x.json", b"{not json"), ("y.json", b'{"a": 1}'), ("log.txt", b"a\tb\n1\t2"),
                           ("z.h5ad", b"\x89HDF\r\n\x1a\n rubbish"), ("noise", bytes(range(256)))):
            with open(os.path.join(run, name), "wb") as file:
                file.write(data)
        page = self.page("damaged")
        for words in ("x.json: not valid JSON", "y.json: JSON of another kind",
                      "log.txt: a table of another kind", "m.safetensors", "z.h5ad"):
            self.assertIn(words, page.text)

    def test_misuse_and_failure(self):
        self.make("empty")
        self.ends(2, "name one folder", "report", "-o", "p.html")
        self.ends(2, "--output is missing", "report", "empty")
        self.ends(1, "empty: holds nothing", "report", "empty", "-o", "p.html")
        self.ends(1, "cannot read the folder", "report", "absent", "-o", "p.html")
        run = self.make("keys")
        common.write_cells(os.path.join(run, "cells.h5ad"))
        self.ends(1, "no obs column 'nope'; there are: cell_type", "report", "keys", "--label", "nope",
                  "-o", "p.html")
        self.assertFalse(os.path.exists(self.path("p.html")))


if __name__ == "__main__":
    common.main()
