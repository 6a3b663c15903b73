# SPDX-License-Identifier: BSD-3-Clause
NAME = "ops"
def check(root, build):
    yield "later"
