# SPDX-License-Identifier: BSD-3-Clause
"""anndata's reading and writing of one element of a file. anndata.experimental offers the same, but
loads torch where that is installed, which takes longer than most tests."""
from anndata._io.specs import read_elem, write_elem  # noqa: F401
