# SPDX-License-Identifier: BSD-3-Clause
"""What the mechanical checks share. A check is a module with NAME, and check(root, build) that yields
one sentence a problem and returns how many things it looked at; none looked at is a problem too."""
import os
import subprocess


def sources(root, folder, endings=(".c", ".h")):
    """Paths of the source files under root/folder, relative to root, in order."""
    found = []
    for place, folders, files in os.walk(os.path.join(root, folder)):
        folders.sort()
        found += [os.path.relpath(os.path.join(place, f), root)
                  for f in files if f.endswith(endings)]
    return sorted(found)


def output(*command, **options):
    """Standard output of a command that must succeed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def run(module, root, build):
    """Run one check; print its problems and its verdict; True if there were none."""
    problems = looked_at = 0
    steps = module.check(root, build)
    while True:
        try:
            print(f"{module.NAME}: {next(steps)}")
            problems += 1
        except StopIteration as end:
            looked_at = end.value or 0
            break
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{module.NAME}: {error}")
            problems += 1
            break
    if not looked_at:
        print(f"{module.NAME}: found nothing to look at")
        problems += 1
    print(f"{'FAIL' if problems else 'ok'}  {module.NAME}: {looked_at} looked at, "
          f"{problems} problems", flush=True)
    return not problems
