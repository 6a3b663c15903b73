#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# join_static.sh PARTS.a OUT.a: one archive with one object in which only names of default
# visibility (the scw_* functions) are global.
set -eu

parts=$1 out=$2
object=$out.o

ld -r --whole-archive "$parts" -o "$object"
objcopy --localize-hidden "$object"
rm -f "$out"
ar rcsD "$out" "$object"
rm -f "$object"
