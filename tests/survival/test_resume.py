# SPDX-License-Identifier: BSD-3-Clause
"""A fit that is killed, stopped or blows up, from outside: it continues to the same bytes, refuses what
it cannot continue, and says what went wrong. Usage: test_resume.py SCWEAVE [unittest arguments]"""
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

SCWEAVE = os.path.abspath(sys.argv.pop(1))
PATIENCE = 300
SEED = 7  # of the moments at which a fit is killed
# Two stages, two twins that calibrate, count decoders, batches; short epochs.
FIT = ["fit", "matilda", "set.h5mu", "--label", "cell_type", "--threads", "1", "--components", "8",
       "--modalities", "rna,adt", "--modality-weights", "off", "--library", "10000", "--shortcut-c",
       "10", "--z-dim", "20", "--hidden-rna", "30", "--hidden-joint", "30", "--epochs", "8",
       "--min-steps", "0", "--augmentation", "add", "--balance-epochs", "3",
       "--calibration-folds", "2", "--count-steps", "20", "--batch-key", "batch",
       "--batch-removal", "30"]
# Where the result does not matter.
QUICK = [*FIT, "--epochs", "1", "--augmentation", "off", "--calibration-folds", "0"]


class Survival(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="scweave-survival-")
        cls.run_scweave("example", "set.h5mu", "--cells", "120", "--narrow", "--seed", "1")
        cls.run_scweave("example", "other.h5mu", "--cells", "120", "--narrow", "--seed", "2")
        cls.run_scweave(*FIT, "-o", "whole")
        cls.whole = cls.read("whole")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def read(cls, name):
        with open(cls.path(name), "rb") as file:
            return file.read()

    @classmethod
    def write(cls, name, content):
        with open(cls.path(name), "wb") as file:
            file.write(content)

    @classmethod
    def run_scweave(cls, *words, status=0, **options):
        done = subprocess.run([SCWEAVE, *words], cwd=cls.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE, check=False,
                              **options)
        if done.returncode != status:
            raise AssertionError(f"{words}: status {done.returncode}, expected {status}\n"
                                 f"{done.stderr}")
        return done.stderr

    def start(self, output, *words):
        def default_signals():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
        # pylint: disable-next=consider-using-with
        return subprocess.Popen([SCWEAVE, *FIT, "-o", output, *words], cwd=self.folder,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True, preexec_fn=default_signals)

    def wait_for(self, run, name):
        """Until the file is there or the run has ended."""
        until = time.monotonic() + PATIENCE
        while not os.path.exists(self.path(name)) and run.poll() is None:
            self.assertLess(time.monotonic(), until, f"{name} does not appear")
            time.sleep(0.002)

    def interrupted(self, output):
        """Leave the checkpoint of a fit that was stopped early on."""
        run = self.start(output, "--checkpoint-epochs", "1")
        self.wait_for(run, f"{output}.checkpoint")
        run.send_signal(signal.SIGTERM)
        _, err = run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 130, err)
        return err

    def leftovers(self, output):
        return sorted(f for f in os.listdir(self.folder) if f.startswith(output + "."))

    # ------------------------------------------------------------------------ coming back
    def test_killed_and_resumed(self):
        moments = random.Random(SEED)
        kills = 0
        for k in range(2):
            name = f"killed{k}"
            run = self.start(name, "--checkpoint-epochs", "1")
            self.wait_for(run, f"{name}.checkpoint")
            time.sleep(moments.uniform(0, 0.3))
            run.kill()
            run.communicate(timeout=PATIENCE)
            kills += run.returncode == -signal.SIGKILL
            err = self.run_scweave(*FIT, "-o", name, "--resume")
            if run.returncode == -signal.SIGKILL:
                self.assertRegex(err, r"continued after \d+ steps of [a-z ]+, from killed\d.checkpoint")
            self.assertEqual(self.read(name), self.whole, f"seed {SEED}, kill {k}")
            self.assertNotIn(f"{name}.checkpoint", self.leftovers(name))
        self.assertGreater(kills, 0, "every fit ended before it was killed")

    def test_killed_in_every_stage(self):
        """Killed when the checkpoint stands in a given training, or a given phase of it."""
        for training, phase in ((0, 1), (2, 2), (3, 0)):
            name = f"stage{training}{phase}"
            run = self.start(name, "--checkpoint-epochs", "1")
            while run.poll() is None and self.place(f"{name}.checkpoint") < (training, phase):
                time.sleep(0.002)
            run.kill()
            run.communicate(timeout=PATIENCE)
            self.assertEqual(run.returncode, -signal.SIGKILL)
            self.run_scweave(*FIT, "-o", name, "--resume")
            self.assertEqual(self.read(name), self.whole, name)

    def place(self, name):
        if not os.path.exists(self.path(name)):
            return (-1, 0)
        content = self.read(name)
        size, = struct.unpack("<Q", content[:8])
        state = json.loads(json.loads(content[8:8 + size])["__metadata__"]["state"])
        return (state["training"], state["phase"])

    def test_stopped_and_resumed(self):
        err = self.interrupted("stopped")
        self.assertRegex(err.splitlines()[-1],
                         "stopped at the user's request; the same command with --resume continues "
                         "from stopped.checkpoint")
        self.assertFalse(os.path.exists(self.path("stopped")))
        self.run_scweave(*FIT, "-o", "stopped", "--resume")
        self.assertEqual(self.read("stopped"), self.whole)
        self.assertEqual(self.leftovers("stopped"), [])

    def test_a_signal_alone(self):
        """Ctrl-C makes a checkpoint, also where none is due, and is the same wish when it comes twice in
        a moment, as timeout sends it; a later second one quits at once."""
        for name, pause in (("signal1", None), ("signal2", 0), ("signal3", 0.3)):
            run = self.start(name, "-v", "--checkpoint-minutes", "0", "--min-steps", "1000000",
                             "--max-steps", "0")
            for line in run.stderr:
                if line.startswith("linear path"):  # the last word before training
                    break
            run.send_signal(signal.SIGINT)
            if pause is not None:
                time.sleep(pause)
                run.send_signal(signal.SIGTERM)
            _, err = run.communicate(timeout=PATIENCE)
            self.assertEqual(run.returncode, 130, err)
            self.assertFalse(os.path.exists(self.path(name)))
            if not pause:
                self.assertIn(f"--resume continues from {name}.checkpoint", err)
                self.assertEqual(self.leftovers(name), [f"{name}.checkpoint"])

    def test_resume_without_a_checkpoint(self):
        err = self.run_scweave(*QUICK, "-o", "fresh", "--resume")
        self.assertIn("there is no checkpoint fresh.checkpoint: training starts from the beginning",
                      err)
        self.assertTrue(os.path.exists(self.path("fresh")))

    def test_named_checkpoint(self):
        run = self.start("named", "--checkpoint", "elsewhere", "--checkpoint-epochs", "1")
        self.wait_for(run, "elsewhere")
        run.kill()
        run.communicate(timeout=PATIENCE)
        self.run_scweave(*FIT, "-o", "named", "--checkpoint", "elsewhere", "--resume")
        self.assertEqual(self.read("named"), self.whole)
        self.assertFalse(os.path.exists(self.path("elsewhere")))

    def test_leftovers_of_the_killed(self):
        """What kill -9 leaves in the middle of a writing is cleared away; the fresh is not."""
        for name, age in (("swept.checkpoint.tmp-999999999-0", 3600),
                          ("swept.checkpoint.tmp-999999999-1", 0),
                          (f"swept.checkpoint.tmp-{os.getpid()}-0", 3600),
                          ("swept.checkpoint.tmp-mine", 3600)):
            self.write(name, b"x")
            then = time.time() - age
            os.utime(self.path(name), (then, then))
        self.run_scweave(*QUICK, "-o", "swept")
        self.assertEqual(self.leftovers("swept"),
                         sorted(["swept.checkpoint.tmp-999999999-1",
                                 f"swept.checkpoint.tmp-{os.getpid()}-0",
                                 "swept.checkpoint.tmp-mine"]))

    # ----------------------------------------------------------------------- what cannot be
    def test_another_fit(self):
        self.interrupted("mine")
        before = self.read("mine.checkpoint")
        for expected, words in ((r"--seed was 1, now 2", ["--seed", "2"]),
                                (r"--lr was 0.001, now 0.002", ["--lr", "0.002"]),
                                (r"the data are not the same", ["--modalities", "rna"])):
            err = self.run_scweave(*FIT, "-o", "mine", "--resume", *words, status=1)
            self.assertRegex(err, r"mine.checkpoint is the checkpoint of another fit.*" + expected)
        other = [w if w != "set.h5mu" else "other.h5mu" for w in FIT]
        err = self.run_scweave(*other, "-o", "mine", "--resume", status=1)
        self.assertIn("the data are not the same", err)
        self.assertEqual(self.read("mine.checkpoint"), before)
        run = self.start("mine", "--threads", "2", "--resume")
        said = ""
        for line in run.stderr:
            said += line
            if line.startswith("continued"):
                break
        run.kill()
        run.communicate(timeout=PATIENCE)
        self.assertIn("was made with 1 threads, this run has 2", said)

    def test_not_resumed(self):
        self.interrupted("anew")
        err = self.run_scweave(*FIT, "-o", "anew")
        self.assertIn("anew.checkpoint holds an interrupted fit, which --resume would continue", err)
        self.assertEqual(self.read("anew"), self.whole)

    def test_damaged(self):
        self.interrupted("hurt")
        good = self.read("hurt.checkpoint")
        middle = len(good) * 3 // 4
        for content, expected in (
                (b"", "no safetensors header"),
                (b"garbage" * 100, "no safetensors header"),
                (good[:100], "no safetensors header"),
                (good[:middle], "does not match its place in the file"),
                (good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1:],
                 "its content does not match its fingerprint"),
                (self.whole, "is not a checkpoint")):
            self.write("hurt.checkpoint", content)
            err = self.run_scweave(*FIT, "-o", "hurt", "--resume", status=1)
            self.assertRegex(err, "cannot resume.*hurt.checkpoint.*" + expected)
            self.assertFalse(os.path.exists(self.path("hurt")))

    def test_foreign_file_in_its_place(self):
        self.write("taken.checkpoint", b"a diary")
        err = self.run_scweave(*FIT, "-o", "taken", status=1)
        self.assertIn("taken.checkpoint: is where the checkpoint is to be written, but is no", err)
        self.assertEqual(self.read("taken.checkpoint"), b"a diary")

    def test_misuse(self):
        for words, expected in (
                (["-o", "m", "--checkpoint", "set.h5mu"], "is one of the data files"),
                (["-o", "m", "--checkpoint", "m"], "is the output too"),
                (["--cv", "folds.tsv", "--resume"], "--cv keeps no checkpoints"),
                (["-o", "m", "--checkpoint-minutes", "-1"], "checkpoint-minutes")):
            err = self.run_scweave(*FIT, *words, status=2)
            self.assertIn(expected, err)

    def test_unwritable_folder(self):
        err = self.run_scweave(*FIT, "-o", "m", "--checkpoint", "nowhere/m", status=1)
        self.assertIn("nowhere/m: cannot write", err)
        if os.geteuid() != 0:
            os.mkdir(self.path("locked"), 0o500)
            err = self.run_scweave(*FIT, "-o", "m", "--checkpoint", "locked/m", status=1)
            self.assertIn("locked/m: cannot write", err)

    def test_full_disk(self):
        """A checkpoint that cannot be written costs a warning, not the training."""
        limit = len(self.whole) + 1000  # enough for the model; a checkpoint is larger

        def full():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        err = self.run_scweave(*FIT, "-o", "full", "--checkpoint-epochs", "1", preexec_fn=full)
        self.assertEqual(err.count("the checkpoint cannot be written, training goes on without it"),
                         1, err)
        self.assertEqual(self.read("full"), self.whole)
        self.assertEqual(self.leftovers("full"), [])


if __name__ == "__main__":
    unittest.main()
