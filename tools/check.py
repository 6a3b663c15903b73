# SPDX-License-Identifier: BSD-3-Clause
"""check.py [--root DIR] [--build DIR] [NAME...]: the rules of the house that a machine can check.
Without names, all of them. Exit status 1 if one is broken."""
import argparse
import os
import sys

import check_calls
import check_headers
import check_includes
import check_ops
import check_symbols
import common

CHECKS = [check_includes, check_symbols, check_calls, check_ops, check_headers]


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=here, help="the source tree")
    parser.add_argument("--build", default=os.path.join(here, "build"), help="a finished build")
    parser.add_argument("names", nargs="*", choices=[[]] + [c.NAME for c in CHECKS])
    wanted = parser.parse_args()
    chosen = [c for c in CHECKS if not wanted.names or c.NAME in wanted.names]
    verdicts = [common.run(c, wanted.root, wanted.build) for c in chosen]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
