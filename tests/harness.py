# SPDX-License-Identifier: BSD-3-Clause
"""What the tests in Python share: a program run in a folder and what it must say (Case), and checks
that are counted (Checks)."""
import os
import subprocess
import sys
import unittest

PATIENCE = 300  # seconds for one run of a program; under a sanitizer everything takes longer


class Case(unittest.TestCase):
    """Tests of one program; `main` says which."""
    program = None
    folder = None

    @classmethod
    def run_it(cls, *words, **options):
        """Status, standard output, standard error."""
        options.setdefault("stdout", subprocess.PIPE)
        done = subprocess.run([cls.program, *words], cwd=cls.folder, stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False,
                              **options)
        return done.returncode, done.stdout, done.stderr

    @classmethod
    def must(cls, *words):
        """For preparations: anything but success ends the test."""
        status, _, err = cls.run_it(*words)
        if status:
            raise RuntimeError(f"{' '.join(words)}: {status}\n{err}")

    def succeeds(self, *words, **options):
        status, out, err = self.run_it(*words, **options)
        self.assertEqual(status, 0, err)
        return out, err

    def refuses(self, expected, *words, **options):
        """Misuse: status 2, nothing on stdout, what is wrong and where help is."""
        status, out, err = self.run_it(*words, **options)
        self.assertEqual(status, 2, err)
        self.assertEqual(out, "")
        self.assertRegex(err, expected)
        self.assertRegex(err, r"Try 'scweave.*--help'\.\n$")

    def fails(self, expected, *words, **options):
        """Failure: status 1 and one sentence on stderr that says what and where."""
        status, out, err = self.run_it(*words, **options)
        self.assertEqual(status, 1, err)
        self.assertIn(out, ("", None))
        self.assertRegex(err.splitlines()[-1], expected)
        return err

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def content(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()


def main():
    """The first argument is the program, the others are unittest's."""
    Case.program = os.path.abspath(sys.argv.pop(1))
    unittest.main()


class Checks:
    """For tests that go through files of all sorts and do not stop at the first that is wrong."""

    def __init__(self):
        self.done = self.failed = 0

    def expect(self, condition, message):
        self.done += 1
        if not condition:
            self.failed += 1
            print("FAIL", message)

    def run(self, *words, code=0, says="", threads=None):
        """Standard error of a command, which must end with this status and say this."""
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True,
                              timeout=PATIENCE, env=environment, check=False)
        self.expect(done.returncode == code and says in done.stderr,
                    f"{words[1:]}: exit {done.returncode}: {done.stderr}")
        return done.stderr

    def end(self, what):
        print(f"{what}, {self.done} checks, {self.failed} failed")
        sys.exit(self.failed > 0)
