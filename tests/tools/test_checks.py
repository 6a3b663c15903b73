# SPDX-License-Identifier: BSD-3-Clause
"""The mechanical checks can fail: each is given a bad sample that it must refuse, and a good one that
it must accept. Usage: test_checks.py TOOLS-FOLDER C-COMPILER"""
import os
import subprocess
import sys
import tempfile
import unittest

TOOLS, COMPILER = sys.argv[1], sys.argv[2:]
sys.path.insert(0, TOOLS)
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import check_calls  # noqa: E402
import check_headers  # noqa: E402
import check_includes  # noqa: E402
import check_ops  # noqa: E402
import check_symbols  # noqa: E402

HEADER = """#ifndef T_H
#define T_H
#define SCW_API
#ifdef __cplusplus
extern "C" {
#endif
SCW_API int scw_one(void);
SCW_API const char *scw_two(int a,
                            int b);
#ifdef __cplusplus
}
#endif
#endif
"""


class Tree:
    """A source tree and a build folder that hold only what a test writes."""

    def __init__(self, place):
        self.place = place

    def write(self, path, text):
        path = os.path.join(self.place, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def compile(self, text, output, *flags):
        source = self.write(output + ".c", text)
        output = os.path.join(self.place, output)
        subprocess.run([*COMPILER, source, "-o", output, *flags], check=True)
        return output

    def archive(self, path, *objects):
        subprocess.run(["ar", "rcs", os.path.join(self.place, path), *objects], check=True)


class Checks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.tree = Tree(self.folder.name)

    def problems(self, module):
        return list(module.check(self.folder.name, self.folder.name))

    # -------------------------------------------------------------------------- includes
    def architecture(self, change=None):
        arrows = dict(check_includes.ARROWS, **(change or {}))
        rows = [f"| `src/{folder}` | {' '.join(f'`{a}`' for a in allowed)} | text |"
                for folder, allowed in arrows.items()]
        self.tree.write("ARCHITECTURE.md", "\n".join(rows) + "\n")

    def test_includes_accepts_an_allowed_arrow(self):
        self.architecture()
        self.tree.write("src/nn/a.c", '#include "nn/a.h"\n#include "base/x.h"\n#include "kernel/k.h"\n'
                                      '#include "scweave/status.h"\n#include <stdio.h>\n')
        self.assertEqual(self.problems(check_includes), [])

    def test_includes_refuses_an_arrow_back(self):
        self.architecture()
        self.tree.write("src/kernel/a.c", '  #  include "engine/tape.h"\n')
        self.assertEqual(len(self.problems(check_includes)), 1)
        self.assertIn("src/kernel/a.c:1", self.problems(check_includes)[0])

    def test_includes_refuses_internals_in_the_program(self):
        self.architecture()
        self.tree.write("src/cli/a.c", '#include "base/status.h"\n')
        self.assertEqual(len(self.problems(check_includes)), 1)

    def test_includes_refuses_an_unknown_folder(self):
        self.architecture()
        self.tree.write("src/new/a.c", '#include "base/status.h"\n')
        self.assertEqual(len(self.problems(check_includes)), 1)

    def test_includes_compares_the_document(self):
        self.architecture({"io": ["nn"]})
        self.tree.write("src/io/a.c", '#include "base/status.h"\n')
        self.assertEqual(len(self.problems(check_includes)), 1)

    # --------------------------------------------------------------------------- symbols
    def libraries(self, text):
        self.tree.write("include/scweave/t.h", HEADER)
        os.makedirs(os.path.join(self.folder.name, "src/lib"))
        self.tree.compile(text, "src/lib/libscweave.so", "-shared", "-fPIC")
        self.tree.archive("src/lib/libscweave.a", self.tree.compile(text, "src/lib/all.o", "-c"))

    def test_symbols_accepts_what_is_declared(self):
        self.libraries("int scw_one(void) { return 1; }\n"
                       "const char *scw_two(int a, int b) { return a < b ? \"<\" : \">\"; }\n")
        self.assertEqual(self.problems(check_symbols), [])

    def test_symbols_refuses_a_leak_and_a_lack(self):
        self.libraries("int scw_one(void) { return 1; }\nint helper(void) { return 2; }\n")
        found = "\n".join(self.problems(check_symbols))
        for library in ("libscweave.so", "libscweave.a"):
            self.assertIn(f"{library} exports helper", found)
            self.assertIn(f"{library} lacks scw_two", found)

    # ----------------------------------------------------------------------------- calls
    def objects(self, **texts):
        objects = [self.tree.compile(text, f"{name}.c.o", "-c", "-fno-builtin")
                   for name, text in texts.items()]
        os.makedirs(os.path.join(self.folder.name, "src/lib"))
        self.tree.archive("src/lib/libscweave_parts.a", *objects)

    def test_calls_accepts_the_allocator(self):
        self.objects(alloc="#include <stdlib.h>\nvoid *f(void) { return malloc(1); }\n",
                     good="#include <string.h>\nint g(const char *s) { return (int)strlen(s); }\n")
        self.assertEqual(self.problems(check_calls), [])

    def test_calls_refuses_exit_print_environment_and_heap(self):
        bad = {"exit": "#include <stdlib.h>\nvoid f1(void) { exit(1); }\n",
               "printf": "#include <stdio.h>\nvoid f2(int n) { printf(\"%d\", n); }\n",
               "stderr": "#include <stdio.h>\nvoid f3(void) { fprintf(stderr, \"x\"); }\n",
               "getenv": "#include <stdlib.h>\nchar *f4(void) { return getenv(\"HOME\"); }\n",
               "malloc": "#include <stdlib.h>\nvoid *f5(void) { return malloc(1); }\n"}
        self.objects(**{f"bad{k}": text for k, text in enumerate(bad.values())})
        found = "\n".join(self.problems(check_calls))
        for symbol in bad:
            self.assertIn(f"calls {symbol}:", found)

    # ------------------------------------------------------------------------------- ops
    def test_ops(self):
        whole = "relu shape=1 forward=1 backward=1 samples=2\n"
        tested = "[ RUN ] all\n  relu    6 variants, worst error 1e-9\n"
        self.assertEqual(list(check_ops.problems(whole, tested)), [])
        for bad_table, bad_tested in (
                (whole, "  leaky_relu  6 variants\n"), (whole, "  relu  0 variants\n"),
                (whole, ""), ("relu shape=1 forward=1 backward=0 samples=0\n", tested)):
            self.assertEqual(len(list(check_ops.problems(bad_table, bad_tested))), 1)

    def test_ops_refuses_a_build_without_tests(self):
        self.assertEqual(len(self.problems(check_ops)), 1)

    # --------------------------------------------------------------------------- headers
    def headers(self, text, installed="'../../include/scweave/t.h'"):
        self.tree.write("include/scweave/t.h", text)
        self.tree.write("src/lib/meson.build", installed)

    def test_headers_accepts_a_clean_one(self):
        self.headers(HEADER)
        self.assertEqual(self.problems(check_headers), [])

    def test_headers_refuses_one_that_leans_on_others(self):
        self.headers("#ifndef T\n#define T\nint64_t scw_one(void);\n#endif\n")
        self.assertEqual(len(self.problems(check_headers)), 2)

    def test_headers_refuses_one_that_is_only_c(self):
        self.headers("#ifndef T\n#define T\nint scw_one(int class);\n#endif\n")
        self.assertEqual(len(self.problems(check_headers)), 1)

    def test_headers_refuses_one_that_is_not_installed(self):
        self.headers(HEADER, "files()")
        self.assertEqual(len(self.problems(check_headers)), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
