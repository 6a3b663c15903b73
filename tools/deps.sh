#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# deps.sh build|all: install the Debian packages that are missing, and only those.
# `build` is what the program needs, `all` adds what the tests need. The reason for each package
# stands in README.md.
set -eu

build="gcc libc6-dev binutils make meson ninja-build pkg-config
       libhdf5-dev zlib1g-dev libdeflate-dev libdnnl-dev liblapacke-dev libopenblas-dev libjansson-dev
       libigraph-dev libcairo2-dev fonts-liberation"
tests="clang libomp-dev libclang-rt-dev libcmocka-dev
       python3 python3-numpy python3-scipy python3-h5py python3-anndata python3-sklearn"

case "${1:-all}" in
build) wanted=$build ;;
all) wanted="$build $tests" ;;
*) echo "usage: deps.sh build|all" >&2; exit 2 ;;
esac

if ! command -v dpkg-query > /dev/null; then
    echo "deps: this is not a Debian system; these packages, or their like, are needed:" >&2
    # shellcheck disable=SC2086  # a list of words
    echo $wanted >&2
    exit 0
fi

# shellcheck disable=SC2016,SC2086  # dpkg-query's own variables; a list of words
installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' $wanted 2> /dev/null || true)"
missing=
for package in $wanted; do
    case "$installed" in
    *" installed:$package "*) ;;
    *) missing="$missing $package" ;;
    esac
done
if [ -z "$missing" ]; then
    echo "deps: all packages are installed"
    exit 0
fi

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo > /dev/null; then
    as_root=sudo
else
    echo "deps: missing:$missing" >&2
    echo "deps: run 'make deps' as root, or install sudo" >&2
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 "$@" \
        > "$log" 2>&1 < /dev/null || {
        cat "$log" >&2
        echo "deps: apt-get $1 failed" >&2
        exit 1
    }
}

echo "deps: installing:$missing"
quietly update -qq
# shellcheck disable=SC2086  # a list of words
quietly install -y -q --no-install-recommends $missing
echo "deps: done"
