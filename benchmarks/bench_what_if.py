"""How long an answer takes to "what should I run?": ``python benchmarks/bench_what_if.py [--help]``.

Each line is a fresh interpreter that runs ``veridraft what-if`` on an H100 with an 8B, a 1B draft and 16 requests: with
no acceptance known (the family that stands in), with a trace of 500 steps, and with rates.  Medians of CPU and wall
time; the aim is 10 s of wall time on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from veridraft.gpu.engines.recorder import write_tree
from veridraft.gpu.engines.trace_writer import TraceWriter
from veridraft.theory import Iid
from veridraft.theory.pairs import widening_pair

AIM, STEPS = 10.0, 500
WHERE = ("--gpu", "H100", "--target", "8B", "--draft", "1B", "--batch", "16")
QUESTIONS = {
    "--search, T 0.6": ("--search", "--temperatures", "0.6"),
    "--search, T 0.6, budget 32": ("--search", "--temperatures", "0.6", "--budget", "32"),
    "--search --pair trace.npz": ("--search", "--pair", "trace.npz"),
    "--rates 0.75,0.55,0.4": ("--rates", "0.75,0.55,0.4"),
}


def save_trace(path: Path) -> None:
    """A trace of steps that drafted four paths of three tokens, with rows over 256 tokens."""
    pair = widening_pair(256, 4, 0, start=0.2, growth=0.02, spread=3.0)
    rng, writer = np.random.default_rng(0), TraceWriter()
    for _ in range(STEPS):
        write_tree(writer, 0, Iid(4, 3).sample(pair, rng), 0)
    writer.save(path)


def seconds(words: tuple[str, ...], folder: str) -> tuple[float, float]:
    """CPU and wall time of one answer."""
    command = [sys.executable, "-m", "veridraft", "what-if", *WHERE, *words]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    wall, after = perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def table(repeats: int) -> None:
    """Print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        save_trace(Path(folder, "trace.npz"))
        rounds = [{line: seconds(words, folder) for line, words in QUESTIONS.items()} for _ in range(repeats)]
    machine = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    print(f"fresh interpreters, Python {sys.version.split()[0]}, medians of {repeats}, {machine}")
    print(f"{'':28}{'CPU s':>8}{'wall s':>8}  aim, wall s")
    for line in QUESTIONS:
        cpu, wall = (median(times[line][place] for times in rounds) for place in (0, 1))
        print(f"{line:28}{cpu:8.2f}{wall:8.2f}  {AIM:g}: {'met' if wall <= AIM else 'missed'}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each line, of which the median counts")
    table(parser.parse_args().repeats)


if __name__ == "__main__":
    main()
