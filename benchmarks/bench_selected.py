"""What selectors are worth where texts are decoded: tokens a step and per CPU second, the cost of choosing included.

    OMP_NUM_THREADS=1 python benchmarks/bench_selected.py DIR [--verifiers traversal,specinfer,block] [--draft head]
                                        [--samplings 0.6,1] [--tokens 48] [--prompts 8] [--out FOLDER]

DIR is a folder of ``veridraft selector train --latency FILE``, taught for the machine that this runs on; one that was
taught for a GPU chooses for other times.  Texts are written after the prompts of each sampling's held-out texts, which
no selector learnt from, one at a time on packed layers: by plain decoding, and for each verifier with the best one
action of that sampling (of all, delay included, at the roots to learn from) and with the selector's.  All in one order
and then in the reverse one; CPU time of one thread, the reading of the prompt included.

Ratios are geometric means over prompts, intervals Student's at 95 %; the last table takes every prompt of every
sampling as one more.  What a choice takes is the time inside the selector; reading the root is drafting.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from taking_turns import Method, compared, interval, ours, run, shown

from veridraft.gpu import ModelPair, Sampling, Selected, Selector, load_pair, packed_pair
from veridraft.gpu.models.machine import machine_of
from veridraft.gpu.selecting import Evaluation
from veridraft.gpu.selecting.choices import static
from veridraft.gpu.selecting.data.texts import draw_texts
from veridraft.gpu.selecting.plan import HELD_OUT
from veridraft.reports.commands.selector.train import samplings
from veridraft.reports.running.console import names
from veridraft.theory import Delayed

PLAIN = "plain"

BASE = "traversal"
"""The verifier whose one action all are held against, too; it is always among them."""


@dataclass(eq=False)
class Timed:
    """A selector, and the CPU time of its choices."""

    selector: Selector
    cpu: float = 0.0
    choices: int = 0

    @property
    def name(self) -> str:
        """That of the selector."""
        return self.selector.name

    @property
    def actions(self) -> Sequence[Delayed]:
        """Those of the selector."""
        return self.selector.actions

    def require(self, pair: ModelPair) -> None:
        """As the selector does."""
        self.selector.require(pair)

    def choose(self, pair: ModelPair, known: Sequence[Any]) -> list[Delayed]:
        """As the selector does."""
        begin = process_time()
        chosen = self.selector.choose(pair, known)
        self.cpu += process_time() - begin
        self.choices += len(known)
        return chosen


@dataclass(frozen=True)
class Way:
    """A method, the verifier that it belongs to, and of the selected ones who chooses."""

    method: Method
    verifier: str = ""
    timed: Timed | None = None


@dataclass(frozen=True)
class Ways:
    """All ways at one sampling: plain decoding first, then for each verifier its one action and its selector's."""

    all: tuple[Way, ...]
    prompts: int

    def logs(self, way: Way, base: Way) -> np.ndarray:
        """(2, prompts) logarithms of the ratio of tokens per CPU second, and per step."""
        found: np.ndarray = np.log(way.method.rates(self.prompts) / base.method.rates(self.prompts))[1:]
        return found

    def static(self, verifier: str) -> Way:
        """The one action of a verifier."""
        return next(way for way in self.all if way.verifier == verifier and way.timed is None)

    def over(self, place: int) -> dict[str, np.ndarray]:
        """Of one way the :meth:`logs` over others: plain decoding, its verifier's one action, and Traversal's."""
        way = self.all[place]
        own = {"own one action": self.static(way.verifier)} if way.verifier not in ("", BASE) else {}
        bases = {PLAIN: self.all[0], **own, f"{BASE}'s one action": self.static(BASE)}
        return {name: self.logs(way, base) for name, base in bases.items() if base is not way}


def ways_of(
    pair: ModelPair, evaluation: Evaluation, verifiers: Sequence[str], number: int, tokens: int, prompts: int
) -> Ways:
    """The ways at the sampling of that number in the selectors' plan."""
    roots = evaluation.plan.roots
    sampling = roots.samplings[number]
    found = [Way(ours(PLAIN, pair, "nss", "Chain(0)", sampling, tokens))]
    for verifier in verifiers:
        labels = evaluation.learn.of(roots.verifiers.index(verifier))
        best = roots.grid.policies[static(labels, np.ones(len(roots.grid.policies), dtype=bool))[number]]
        found.append(Way(ours(f"{verifier}, {best.name}", pair, verifier, best, sampling, tokens), verifier))
        timed = Timed(Selector.load(evaluation.folder, verifier, pair))
        selected = ours(f"{verifier}, selected", pair, verifier, Selected(timed), sampling, tokens)
        found.append(Way(selected, verifier, timed))
    return Ways(tuple(found), prompts)


def rows_of(ways: Ways) -> list[dict[str, Any]]:
    """Each way: its rates by prompt with intervals, its ratios, and the CPU milliseconds of a choice."""
    told = compared([way.method for way in ways.all], ways.prompts)
    found = []
    for place, way in enumerate(ways.all):
        rates = {name: interval(values).tolist() for name, values in
                 zip(("tokens per CPU second", "tokens a step"), way.method.rates(ways.prompts)[1:], strict=True)}
        over = ratios(ways.over(place))
        choice = {"choice_ms": 1000 * way.timed.cpu / way.timed.choices} if way.timed else {}
        found.append(told[place] | {"rates": rates, "over": over} | choice)
    return found


def ratios(over: dict[str, np.ndarray]) -> dict[str, dict[str, list[float]]]:
    """Geometric means with intervals, by base and by what is counted."""
    return {base: {kind: np.exp(interval(logs[n])).tolist() for n, kind in enumerate(("cpu", "steps"))}
            for base, logs in over.items()}  # fmt: skip


def table(title: str, rows: Sequence[dict[str, Any]]) -> str:
    """One sampling, or all, as text; of all there are ratios alone."""
    lines = [title]
    for row in rows:
        rates = "; ".join(f"{shown(one, 2)} {name}" for name, one in row.get("rates", {}).items())
        choice = f"; a choice {row['choice_ms']:.1f} ms of CPU time" if "choice_ms" in row else ""
        lines.append(f"  {row['method']}" + (f": {rates}{choice}" if rates else ""))
        lines += [f"    over {base}: {shown(over['cpu'])} tokens per CPU second, {shown(over['steps'])} a step"
                  for base, over in row["over"].items()]  # fmt: skip
    return "\n".join(lines)


def pooled(measured: Sequence[Ways], verifiers: Sequence[str]) -> list[dict[str, Any]]:
    """The ratios of each verifier's one action and selector over all prompts of all samplings."""
    found = []
    for place in range(1, 1 + 2 * len(verifiers)):
        each = [ways.over(place) for ways in measured]
        joined = {base: np.concatenate([one[base] for one in each], axis=1) for base in each[0]}
        kind = "one action" if measured[0].all[place].timed is None else "selected"
        found.append({"method": f"{measured[0].all[place].verifier}, {kind}", "over": ratios(joined)})
    return found


def numbers_of(evaluation: Evaluation, asked: Sequence[tuple[float, float]]) -> list[int]:
    """Which of the plan's samplings are asked for; ``ValueError`` for one that nothing was learnt at."""
    known = evaluation.plan.roots.temperatures
    if unknown := [one for one in asked if one not in known]:
        raise ValueError(f"samplings must be of those that were learnt from, {known}, but one is {unknown[0]}")
    return [known.index(one) for one in asked]


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--verifiers", type=names, default=("traversal", "specinfer", "block"))
    parser.add_argument("--draft", default="head", help="that of the selectors' pair")
    parser.add_argument("--samplings", type=samplings, default=((0.6, 1.0), (1.0, 1.0)), metavar="T,T:P")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--prompts", type=int, default=8, help="of each sampling, at least 2")
    parser.add_argument("--out", type=Path, help="folder for selected.json and selected.txt")
    options = parser.parse_args()
    torch.set_num_threads(1)
    evaluation = Evaluation(options.folder)
    numbers = numbers_of(evaluation, options.samplings)
    verifiers = tuple(dict.fromkeys((BASE, *options.verifiers)))
    pair = packed_pair(load_pair(draft=options.draft))
    data = options.folder / evaluation.card["data"]
    texts = draw_texts(pair, evaluation.plan.roots, data, lambda *_: None)[HELD_OUT]
    said, held, measured = [], {}, []
    for number in numbers:
        prompts = [one.tokens[: one.prompt] for one in texts if one.sampling == number][: options.prompts]
        ways = ways_of(pair, evaluation, verifiers, number, options.tokens, len(prompts))
        run([way.method for way in ways.all], prompts)
        measured.append(ways)
        name = title_of(evaluation.plan.roots.samplings[number])
        held[name] = rows_of(ways)
        said.append(table(f"{name}, {len(prompts)} prompts", held[name]))
        print("\n" + said[-1], flush=True)
    held["all"] = pooled(measured, verifiers)
    said.append(table(f"All samplings, {sum(ways.prompts for ways in measured)} prompts", held["all"]))
    print(said[-1])
    if options.out:
        write(options.out, machine_of(pair.device), evaluation, said, held)


def title_of(sampling: Sampling) -> str:
    """Temperature, and top-p if there is one."""
    return f"T = {sampling.temperature:g}" + (f", top-p {sampling.top_p:g}" if sampling.top_p < 1 else "")


def write(
    out: Path, here: dict[str, Any], evaluation: Evaluation, said: Sequence[str], held: dict[str, Any]
) -> None:
    """The text, and all numbers."""
    out.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", *sys.argv])
    lead = f"{here['name']}, one thread; selectors taught for {evaluation.plan.machine.said}"
    (out / "selected.txt").write_text("\n".join([f"$ {command}", lead, *said]) + "\n", encoding="utf-8")
    body = {"command": command, "machine": here, "times": evaluation.plan.machine.settings(), "speeds": held}
    (out / "selected.json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
