# SPDX-License-Identifier: BSD-3-Clause
"""scweave plot: each kind of picture from made-up data, in each format; odd names, missing values,
bad files. Usage: test_pictures.py SCWEAVE [unittest arguments]"""
import os
import shutil
import tempfile
import unittest
import xml.etree.ElementTree

import common

# Of src/plot/palette.c: the first classes, and cells without one.
FIRST = [(0x00, 0x72, 0xb2), (0xd5, 0x5e, 0x00), (0x00, 0x9e, 0x73), (0xcc, 0x79, 0xa7)]
MISSING = (0xd0, 0xd0, 0xd0)
KINDS = ["umap", "confusion", "training", "markers", "composition", "simulation"]
SVG = "{http://www.w3.org/2000/svg}"


def near(found, colour):
    """Pixels of about this colour: what is thin has soft edges."""
    return sum(n for one, n in found.items()
               if sum(abs(a - b) for a, b in zip(one, colour)) < 60)


@unittest.skipUnless(common.PICTURES, "this build has no cairo")
class Pictures(common.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        common.write_cells(os.path.join(cls.folder, "cells.h5ad"))
        common.write_cells(os.path.join(cls.folder, "odd.h5ad"), hostile=True)
        common.write_markers(os.path.join(cls.folder, "markers.tsv"), ["B", "NK", "T"])
        common.write_markers(os.path.join(cls.folder, "odd.tsv"), common.HOSTILE, se=False)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def draw(self, name, *words):
        """Draw a picture; what it is as pixels, if it is a PNG."""
        _, err = self.succeeds("plot", *words, "-o", name)
        data = self.content(name)
        return (common.read_png(data) if name.endswith(".png") else data), err

    def check_svg(self, data):
        root = xml.etree.ElementTree.fromstring(data)
        self.assertEqual(root.tag, SVG + "svg")
        for element in root.iter():
            self.assertIn(element.tag[len(SVG):], {"svg", "g", "defs", "path", "use", "symbol", "rect",
                                                   "clipPath", "image", "mask", "filter",
                                                   "feColorMatrix", "pattern"})
        return root

    # ---------------------------------------------------------------- umap

    def test_umap_by_class(self):
        pixels, err = self.draw("a.png", "umap", "cells.h5ad", "--color", "cell_type", "--dpi", "36")
        found = common.colours(pixels)
        for colour in FIRST:
            self.assertGreater(near(found, colour), 20, colour)
        self.assertGreater(found[(255, 255, 255)], pixels.shape[0] * pixels.shape[1] / 2)
        self.assertIn("5 cells have no position", err)
        # The page is white to its edges.
        for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
            self.assertEqual(int(edge.min()), 255)

    def test_classes_keep_their_colours_in_another_column(self):
        pixels, _ = self.draw("a.png", "umap", "cells.h5ad", "--color", "matilda_label", "--label",
                              "cell_type", "--dpi", "36")
        found = common.colours(pixels)
        for colour in FIRST + [MISSING]:
            self.assertGreater(near(found, colour), 5, colour)

    def test_umap_by_number(self):
        for column in ("matilda_confidence", "change", "flat", "cluster"):
            pixels, _ = self.draw("a.png", "umap", "cells.h5ad", "--color", column, "--dpi", "36")
            self.assertGreater(len(common.colours(pixels)), 60, column)
        self.ends(1, "has no values|no values", "plot", "confusion", "cells.h5ad", "--label", "nothing",
                  "--prediction", "cell_type", "-o", "b.png")
        pixels, _ = self.draw("a.png", "umap", "cells.h5ad", "--color", "nothing", "--dpi", "36")
        self.assertGreater(near(common.colours(pixels), MISSING), 60)

    def test_legends(self):
        widths = {}
        for legend in ("auto", "side", "data", "none"):
            pixels, _ = self.draw("a.png", "umap", "cells.h5ad", "--color", "cell_type", "--legend",
                                  legend, "--dpi", "36")
            widths[legend] = pixels.shape[1]
        self.assertEqual(widths["auto"], widths["side"])
        self.assertEqual(widths["data"], widths["none"])
        self.assertLess(widths["none"], widths["side"])

    def test_size_is_what_was_asked(self):
        pixels, _ = self.draw("a.png", "umap", "cells.h5ad", "--color", "cell_type", "--width", "5",
                              "--height", "3.5", "--dpi", "100", "--title", "A title", "--point-size",
                              "2")
        self.assertEqual(pixels.shape, (350, 500, 3))

    def test_wide_array_is_reduced_and_says_so(self):
        self.draw("a.svg", "umap", "cells.h5ad", "--basis", "X_wide", "--color", "batch")
        self.ends(1, "X_line' has 1 columns, a picture needs two", "plot", "umap", "cells.h5ad",
                  "--basis", "X_line", "-o", "b.png")
        self.ends(1, r"no array 'X_tsne' in obsm; there are: X_line, X_umap, X_wide", "plot", "umap",
                  "cells.h5ad", "--basis", "X_tsne", "-o", "b.png")

    # ------------------------------------------------- confusion, composition

    def test_confusion(self):
        pixels, err = self.draw("a.png", "confusion", "cells.h5ad", "--label", "cell_type",
                                "--prediction", "matilda_label", "--dpi", "36")
        self.assertIn("3 labelled cells have no prediction", err)
        found = common.colours(pixels)
        dark = sum(n for (r, g, b), n in found.items() if r < 0x30 and b < 0x80 and b > r)
        self.assertGreater(dark, 4 * 50)  # the diagonal
        for values in ("count", "none"):
            self.draw("a.png", "confusion", "cells.h5ad", "--label", "cell_type", "--prediction",
                      "matilda_label", "--values", values, "--dpi", "36")
        self.ends(2, "--prediction is missing", "plot", "confusion", "cells.h5ad", "--label", "batch",
                  "-o", "b.png")

    def test_composition(self):
        pixels, _ = self.draw("a.png", "composition", "cells.h5ad", "--group", "batch", "--label",
                              "cell_type", "--dpi", "36")
        found = common.colours(pixels)
        shares = [near(found, colour) for colour in FIRST]
        self.assertGreater(min(shares), 250)
        self.ends(2, "--group is missing", "plot", "composition", "cells.h5ad", "--label", "cell_type",
                  "-o", "b.png")

    # --------------------------------------------------- markers, training, simulation

    def test_markers(self):
        pixels, _ = self.draw("a.png", "markers", "markers.tsv", "--dpi", "36")
        found = common.colours(pixels)
        self.assertGreater(near(found, FIRST[0]), 60)
        self.assertGreater(near(found, FIRST[1]), 60)
        one, _ = self.draw("one.png", "markers", "markers.tsv", "--dpi", "36", "--top", "2",
                           "--method", "saliency")
        self.assertLess(one.shape[0], pixels.shape[0])
        self.ends(1, "holds no markers of the method nonsense", "plot", "markers", "markers.tsv",
                  "--method", "nonsense", "-o", "b.png")

    def test_tables_that_are_none(self):
        for text, expected in (("", "the file is empty"), ("a\tb\n1\t2\n", "no column 'class'; there "
                               "are: a, b"), ("class\trank\tmodality\tfeature\tscore\n", "no markers"),
                               ("class\trank\tmodality\tfeature\tscore\nB\t1\trna\n",
                                "line 2: 3 cells, the header has 5"),
                               ("class\trank\tmodality\tfeature\tscore\nB\tx\trna\tf\t1\n",
                                "line 2: rank 'x' is not a number"),
                               ("class\trank\tmodality\tfeature\tscore\nB\t1\trna\tf\tone\n",
                                "line 2: score 'one' is not a number"), ("a\0b", "not a text file")):
            with open(self.path("bad.tsv"), "w", encoding="utf-8") as file:
                file.write(text)
            self.ends(1, expected, "plot", "markers", "bad.tsv", "-o", "b.png")

    def test_training(self):
        self.succeeds("example", "ref.h5mu", "--narrow", "--cells", "100")
        self.succeeds("fit", "matilda", "ref.h5mu", "--label", "cell_type", "-o", "m.safetensors",
                      *common.QUICK, "--epochs", "3", "--validation", "0.2")
        pixels, _ = self.draw("a.png", "training", "m.safetensors", "--dpi", "100")
        self.assertGreater(near(common.colours(pixels), FIRST[0]), 20)
        common.write_model(self.path("bad.safetensors"))
        self.ends(1, "bad.safetensors", "plot", "training", "bad.safetensors", "-o", "b.png")
        self.ends(1, "cells.h5ad", "plot", "training", "cells.h5ad", "-o", "b.png")

    def test_simulation(self):
        self.succeeds("example", "real.h5mu", "--narrow", "--cells", "120")
        self.succeeds("example", "other.h5mu", "--narrow", "--cells", "80", "--seed", "2")
        pixels, err = self.draw("a.png", "simulation", "real.h5mu", "other.h5mu", "--dpi", "36")
        self.assertIn("no obs column 'simulated'", err)
        found = common.colours(pixels)
        self.assertGreater(near(found, FIRST[0]), 100)
        self.assertGreater(near(found, FIRST[1]), 20)
        self.ends(1, "no modality with common features", "plot", "simulation", "real.h5mu",
                  "cells.h5ad", "-o", "b.png")
        self.ends(2, "name two files", "plot", "simulation", "real.h5mu", "-o", "b.png")

    # ----------------------------------------------------------------- all

    def test_formats_and_equal_bytes(self):
        for words in (["umap", "cells.h5ad", "--color", "cell_type"],
                      ["confusion", "cells.h5ad", "--label", "cell_type", "--prediction", "batch"],
                      ["composition", "cells.h5ad", "--group", "batch", "--label", "cell_type"],
                      ["markers", "markers.tsv"]):
            for ending in ("png", "svg", "pdf"):
                for name in ("one.", "two."):
                    self.succeeds("plot", *words, "-o", name + ending, "--dpi", "50")
                one = self.content("one." + ending)
                self.assertEqual(one, self.content("two." + ending), (words, ending))
            self.check_svg(self.content("one.svg"))
            self.assertTrue(one.startswith(b"%PDF-"))
            self.assertNotIn(b"Date", one)

    def test_many_points_stay_light(self):
        common.write_cells(self.path("many.h5ad"), n=20000)
        for ending in ("svg", "pdf"):
            data, _ = self.draw("many." + ending, "umap", "many.h5ad", "--color", "cell_type")
            self.assertLess(len(data), 3 << 20)
        images = self.check_svg(self.content("many.svg")).iter(SVG + "image")
        self.assertEqual(len(list(images)), 1)
        self.draw("few.svg", "umap", "cells.h5ad", "--color", "cell_type")
        self.assertEqual(list(self.check_svg(self.content("few.svg")).iter(SVG + "image")), [])

    def test_hostile_names(self):
        for words in (["umap", "odd.h5ad", "--color", "cell_type", "--title", common.HOSTILE[0]],
                      ["umap", "odd.h5ad", "--color", "cell_type", "--legend", "data"],
                      ["confusion", "odd.h5ad", "--label", "cell_type", "--prediction",
                       "matilda_label"],
                      ["composition", "odd.h5ad", "--group", "cell_type", "--label", "matilda_label"],
                      ["markers", "odd.tsv"]):
            data, _ = self.draw("odd.svg", *words)
            self.check_svg(data)
            self.assertNotIn(b"<script", data)
            self.succeeds("plot", *words, "-o", "odd.pdf")

    def test_misuse_and_failure(self):
        self.ends(2, "name the kind of picture first(.|\n)*simulation", "plot")
        self.ends(2, "there is no kind of picture 'umpa'(.|\n)*umap", "plot", "umpa", "cells.h5ad")
        self.ends(2, "name one file", "plot", "umap", "-o", "b.png")
        self.ends(2, "--output is missing", "plot", "umap", "cells.h5ad")
        self.ends(2, "ends in .png, .svg or .pdf", "plot", "umap", "cells.h5ad", "-o", "b.jpg")
        self.ends(2, "there is no option --prediction", "plot", "umap", "cells.h5ad", "--prediction",
                  "x", "-o", "b.png")
        self.ends(2, "'cells.h5ad' is|cells.h5ad is one of the files", "plot", "umap", "cells.h5ad",
                  "-o", "cells.h5ad")
        self.ends(2, "too large", "plot", "umap", "cells.h5ad", "--width", "100", "--height", "100",
                  "--dpi", "1200", "-o", "b.png")
        self.ends(2, "no room", "plot", "umap", "cells.h5ad", "--width", "0.5", "-o", "b.png")
        self.ends(1, "no obs column 'celltype'; there are: cell_type, matilda_label,", "plot", "umap",
                  "cells.h5ad", "--color", "celltype", "-o", "b.png")
        self.ends(1, "cannot open|cannot read", "plot", "umap", "absent.h5ad", "-o", "b.png")
        with open(self.path("empty.h5ad"), "wb"):
            pass
        self.ends(1, "empty.h5ad", "plot", "umap", "empty.h5ad", "-o", "b.png")
        self.ends(1, "no_folder/b.png", "plot", "umap", "cells.h5ad", "-o", "no_folder/b.png")
        self.assertFalse(os.path.exists(self.path("b.png")))

    def test_absent_umap_says_how_to_make_it(self):
        self.succeeds("example", "plain.h5mu", "--narrow", "--cells", "60")
        self.ends(1, "X_umap' in obsm(.|\n)*scweave umap(.|\n)*--basis", "plot", "umap", "plain.h5mu",
                  "-o", "b.png")

    def test_help_of_each_kind(self):
        for kind in KINDS:
            out, _ = self.succeeds("plot", kind, "--help")
            self.assertRegex(out, r"--dpi N[^\[]*\[200\]")
            self.assertEqual("\n      --prediction" in out, kind == "confusion")
        out, _ = self.succeeds("plot", "--help")
        for kind in KINDS:
            self.assertRegex(out, rf"\n  {kind} ")


@unittest.skipIf(common.PICTURES, "this build has cairo")
class Without(common.Case):
    def test_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            type(self).folder = folder
            common.write_cells(self.path("cells.h5ad"))
            self.ends(1, "this build of scweave draws no pictures.*cairo", "plot", "umap",
                      "cells.h5ad", "-o", "b.png")


if __name__ == "__main__":
    common.main()
