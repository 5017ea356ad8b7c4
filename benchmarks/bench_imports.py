"""Times of imports and of the command's help, printed as a table: ``python benchmarks/bench_imports.py [--help]``.

Each line is a fresh interpreter, started as often as asked for after one run that is not counted; that one writes the
bytecode which an installed copy has.  Medians: CPU time of the whole process, so that other work on the machine counts
less, and wall time.  The ratio is to importing NumPy, in the same rounds: the lines are run in turn.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from statistics import median
from time import perf_counter

REFERENCE = "import numpy"
IMPORTS = ("pass", REFERENCE, "import scipy", *(
    f"import veridraft{room}" for room in ("", ".theory", ".simulate", ".gpu")
))  # fmt: skip
HELP = "veridraft --help"
AIMS = {"import veridraft.theory": 0.4, HELP: 0.2}
"""Seconds."""


def command_of(line: str) -> list[str]:
    """The command of a line of the table."""
    return [sys.executable, *(["-m", *line.split()] if line == HELP else ["-c", line])]


def seconds(line: str) -> tuple[float, float]:
    """CPU and wall time of one fresh interpreter, which may write bytecode."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    subprocess.run(command_of(line), env=environment, check=True, stdout=subprocess.DEVNULL)
    wall, after = perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def table(repeats: int) -> None:
    """Print the medians."""
    lines = [*IMPORTS, HELP]
    for line in lines:
        seconds(line)
    rounds = [{line: seconds(line) for line in lines} for _ in range(repeats)]
    print(f"fresh interpreters, Python {sys.version.split()[0]}, medians of {repeats}")
    print(f"{'':26}{'CPU s':>8}{'wall s':>8}{'/ numpy':>9}  aim, CPU s")
    for line in lines:
        cpu, wall = (median(times[line][place] for times in rounds) for place in (0, 1))
        ratio = median(times[line][0] / times[REFERENCE][0] for times in rounds)
        aim = AIMS.get(line)
        word = "" if aim is None else f"  {aim}: {'met' if cpu <= aim else 'missed'}"
        print(f"{line:26}{cpu:8.3f}{wall:8.3f}{ratio:9.2f}{word}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=11, help="timed runs of each line, of which the median counts")
    table(parser.parse_args().repeats)


if __name__ == "__main__":
    main()
