# SPDX-License-Identifier: BSD-3-Clause
"""`validate` finds nothing in files of every encoding that Debian's anndata writes, in real ones but what
is true of them, and in what scweave itself writes."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import common
import make_inputs

program = sys.argv[1]
checks = common.Checks()
expect = checks.expect

# What is true of the generated files: name -> rules.
TRUE_OF = {
    "untidy.h5ad": {"indices-sorted", "indices-unique", "entries-covered"},
    "legacy.h5ad": {"text-utf8"},
}
# Of real ones, those of which something is true.
TRUE_OF_REAL = {
    "bruce-nan.h5ad": {"values-finite", "counts-integer"},
    "mdata_axis0.h5mu": {"counts-integer"},
    "categorical_int_nan.h5ad": {"counts-integer"},
    **{f"pbmc-small{x}.h5ad": {"counts-integer"} for x in ("", "-x-csc", "-x-csr", "-x-dense")},
}


def run(*words):
    done = subprocess.run([program, *map(str, words), "-q"], capture_output=True, text=True,
                          timeout=240)
    return done.returncode, done.stdout, done.stderr


def must(*words):
    status, _, err = run(*words)
    expect(status == 0, f"{' '.join(map(str, words))}: {err}")


def reports(paths):
    """One process for all."""
    status, out, err = run("validate", "--json", *paths)
    decoder, at, found = json.JSONDecoder(), 0, []
    while out[at:].strip():
        at += len(out[at:]) - len(out[at:].lstrip())
        report, at = decoder.raw_decode(out, at)
        found.append(report)
    expect(len(found) == len(paths), f"{len(found)} reports of {len(paths)}: {err}")
    expect(status == (0 if all(r["valid"] for r in found) else 1), f"exit {status}")
    return found


def check(paths, true_of):
    for report in reports(paths):
        name = Path(report["path"]).name
        rules = {f["rule"] for f in report["findings"]}
        expect(rules == true_of.get(name, set()),
               f"{name}: {[(f['element'], f['rule'], f['found']) for f in report['findings']]}")
        expect(report["format"] and (report["version"] or not name.endswith(("h5ad", "h5mu"))),
               f"{name}: {report['format']}, {report['version']}")


def check_own(folder):
    """The outputs of the commands that need no model."""
    a, b = folder / "a.h5mu", folder / "b.h5mu"
    must("example", a, "--cells", "300", "--seed", "1")
    must("filter", a, "-o", folder / "filtered.h5mu", "--min-genes", "10")
    must("preprocess", folder / "filtered.h5mu", "-o", folder / "ready.h5mu")
    must("qc", a, "-o", folder / "qc.h5mu")
    must("umap", folder / "ready.h5mu", "--use", "rna:X_pca", "-o", folder / "umap.h5mu")
    must("convert", a, b, "--compression", "lzf")
    must("convert", a, folder / "rna.h5ad", "--modality", "rna")
    must("convert", a, folder / "merged.h5ad", "--merge")
    must("convert", folder / "rna.h5ad", f"{folder}/rna/")
    must("convert", folder / "rna", folder / "again.h5ad")
    must("convert", f"@one={folder}/rna.h5ad", f"@two={folder}/again.h5ad", folder / "both.h5ad")
    names = folder / "names.csv"
    names.write_text("cell,donor,age\n" + "".join(f"{c},d{k % 3},{k}\n" for k, c in enumerate(
        json.loads(json.dumps([line.split("\t")[0] for line in read_gz(
            folder / "rna" / "barcodes.tsv.gz")])))))
    must("obs", a, "--table", names, "-o", folder / "obs.h5mu")
    written = sorted(folder.glob("*.h5*")) + [folder / "rna"]
    expect(len(written) == 12, f"{written}")
    check(written, {})


def read_gz(path):
    import gzip
    with gzip.open(path, "rt") as f:
        return f.read().splitlines()


def check_words(folder):
    """The text, and exit statuses."""
    good, bad = folder / "dense.h5ad", folder / "bad.h5ad"
    bad.write_bytes(good.read_bytes()[:-100])
    status, out, _ = run("validate", good)
    expect(status == 0 and out.splitlines()[-1] == f"{good}: valid", out)
    expect(out.splitlines()[0] == f"{good}: h5ad, anndata 0.1.0", out)
    status, out, _ = run("validate", bad, folder / "untidy.h5ad")
    lines = out.splitlines()
    expect(status == 1 and lines[1] == f"{bad}: 1 error", out)
    expect(lines[0].startswith("error: file-whole: ") and "; scweave refuses the file" in lines[0], out)
    expect(lines[-1] == f"{folder / 'untidy.h5ad'}: valid with 3 warnings", out)
    expect(any(line.startswith("warning: /X/indices: indices-sorted: ") and
               line.endswith("scweave repairs: they are sorted") for line in lines), out)
    for words, code in ((["validate"], 2), (["validate", "--rules", good], 2),
                        (["validate", folder / "absent.h5ad"], 1)):
        status, out, err = run(*words)
        expect(status == code and out == "" and err, f"{words}: {status} {out} {err}")
    # Of one rule as many as are asked for, all of them counted.
    table = folder / "words.csv"
    table.write_text("cell,a,b\n" + "".join(f"c{k},1,{'x' if k else 0}\n" for k in range(40)))
    status, out, _ = run("validate", table, "--most", "3")
    expect(out.count("error: line ") == 3 and "field-number: 36 more" in out and
           out.splitlines()[-1] == f"{table}: 39 errors", out)


with tempfile.TemporaryDirectory() as temporary:
    here = Path(temporary)
    made = here / "made"
    made.mkdir()
    make_inputs.make(made)
    check(sorted(p for p in made.iterdir()), TRUE_OF)
    check_words(made)
    own = here / "own"
    own.mkdir()
    check_own(own)
check(common.real_files(common.FIXTURES), TRUE_OF_REAL) if common.DATA.is_dir() else None
checks.end("validate")
