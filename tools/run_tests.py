# SPDX-License-Identifier: BSD-3-Clause
"""run_tests.py BUILD...: run the tests of one or more build folders and end with one line
`N passed, N failed, N skipped`. Exit status 1 if a test failed or none ran."""
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, os.pardir, "tests"))
sys.dont_write_bytecode = True
import fixture  # noqa: E402 pylint: disable=wrong-import-position

FAILED = {"FAIL", "ERROR", "TIMEOUT", "UNEXPECTEDPASS", "INTERRUPT"}


def run(build):
    """Run one folder's tests; list of (name, result)."""
    log = os.path.join(build, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.remove(log)
    # Meson sets a malloc poison that hides real allocation patterns and costs time under ASan.
    environment = dict(os.environ, MALLOC_PERTURB_="0", OMP_WAIT_POLICY="passive",
                       UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
    start = time.time()
    with tempfile.TemporaryDirectory(prefix="scweave-fixture-") as folder:
        try:
            fixture.make(os.path.abspath(os.path.join(build, "src", "cli", "scweave")), folder)
            environment["FIXTURE"] = folder
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"the tests' common model cannot be made: {error}")  # each test meets it again
        status = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs"],
                                env=environment, check=False).returncode
    results = []
    if os.path.exists(log):
        with open(log, encoding="utf-8") as lines:
            results = [(r["name"], r["result"]) for r in map(json.loads, lines)]
    if status and not any(result in FAILED for _, result in results):
        results.append((f"meson test -C {build}", "FAIL"))
    print(f"{build}: {len(results)} tests in {time.time() - start:.0f} s", flush=True)
    return [(f"{build}: {name}", result) for name, result in results]


def main():
    results = [r for build in sys.argv[1:] for r in run(build)]
    failed = [name for name, result in results if result in FAILED]
    skipped = [name for name, result in results if result == "SKIP"]
    passed = len(results) - len(failed) - len(skipped)
    for name in skipped:
        print(f"skipped: {name}")
    for name in failed:
        print(f"failed: {name}")
    if not results:
        print("no test ran")
    print(f"{passed} passed, {len(failed)} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
