"""A run that draws roots and teaches a network for each verifier, in one folder, and goes on after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

from ..decoding.drafting.known import TextStates
from ..files.cell_file import check_folder
from ..files.whole import write_json, write_whole
from ..models.backend import torch
from ..models.machine import machine
from ..models.pairs import ModelPair
from .data.examples import Examples
from .data.features import schema
from .data.roots import check_settings, draw_roots
from .data.texts import draw_texts
from .fingerprint import fingerprint_of
from .plan import LEARN, SelectorPlan
from .selector import CARD, Selector, weights_place
from .training import SelectorTraining

Told = Callable[[str, int, int, str], None]

CHOICES = 20
"""Choices whose median time is measured."""


@dataclass(eq=False)
class SelectorJob:
    """Selectors of a pair on their way; ``data`` is the folder of the roots, which runs may share."""

    pair: ModelPair
    plan: SelectorPlan
    out: Path
    data: Path

    @classmethod
    def prepared(
        cls, pair: ModelPair, plan: SelectorPlan, out: str | Path, command: str = "", data: Path | None = None
    ) -> SelectorJob:
        """The job; raises ``ValueError`` for a folder that cannot be written, or that holds another run."""
        folder = check_folder(Path(out))
        roots = data or folder / "roots"
        settings: dict[str, Any] = {"pair": fingerprint_of(pair), "schema": schema(pair), "plan": plan.settings()}
        if not (folder / CARD).exists():
            settings |= {"data": os.path.relpath(roots, folder), "command": command}
        check_settings(folder / CARD, settings)
        return cls(pair, plan, folder, roots)

    @property
    def result(self) -> Path:
        """The folder of the selectors."""
        return self.out

    def run(self, checkpoint_seconds: float = 30.0, told: Told = lambda *_: None) -> list[dict[str, Any]]:
        """Do what is left; for each verifier the step whose state was kept, and its loss."""
        draw_roots(self.pair, self.plan.roots, self.data, told)
        examples = Examples.read(self.data, self.plan.roots, self.plan.machine, LEARN)
        for number, verifier in enumerate(self.plan.roots.verifiers):
            if not weights_place(self.out, verifier).exists():
                self._teach(examples, number, verifier, checkpoint_seconds, told)
        self._measure_choice()
        return [json.loads(self._notes(name).read_text()) for name in self.plan.roots.verifiers]

    def _teach(self, examples: Examples, number: int, verifier: str, every: float, told: Told) -> None:
        """One network, from its checkpoint if there is one."""
        run = SelectorTraining(self.plan.training, examples, examples.of(number), self.plan.machine.choice,
                               self.plan.roots.temperatures)  # fmt: skip
        place, saved = self.out / f"{verifier}.checkpoint", monotonic()
        if place.exists():
            run.restore(torch.load(place, map_location="cpu", weights_only=True))
        while run.steps < run.plan.steps:
            loss = run.step()
            if monotonic() - saved >= every:
                write_whole(place, partial(torch.save, run.state()))
                saved = monotonic()
            told(verifier, run.steps, run.plan.steps, f"loss {loss:.4f}, kept {run.best_loss:.4f}")
        write_json(self._notes(verifier), {"verifier": verifier, "step": run.best_step, "loss": run.best_loss})
        write_whole(weights_place(self.out, verifier), partial(torch.save, run.best))
        place.unlink(missing_ok=True)

    def _notes(self, verifier: str) -> Path:
        return self.out / f"{verifier}.json"

    def _measure_choice(self) -> None:
        """Write down how long a choice takes here, all features included."""
        place = self.out / "choice.json"
        if place.exists():
            return
        text = next(iter(draw_texts(self.pair, self.plan.roots, self.data, lambda *_: None).values()))[0]
        known = TextStates.of(self.pair, text.tokens).at(len(text.tokens) - 1, self.plan.roots.samplings[text.sampling])
        selector = Selector.load(self.out, self.plan.roots.verifiers[0])
        selector.choose(self.pair, [known])
        spent = []
        for _ in range(CHOICES):
            begin = monotonic()
            selector.choose(self.pair, [known])
            spent.append(monotonic() - begin)
        write_json(place, {"seconds": median(spent), "machine": machine()})
