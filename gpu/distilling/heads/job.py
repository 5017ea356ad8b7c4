"""A run that draws features, makes a head, teaches it and writes it, all in one folder, and goes on after a kill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from ...models.heads.card import read_card
from ...models.heads.file import load_head, save_head
from ...models.heads.network import Head
from ...models.pairs import ModelPair
from ..distilling import Tell, silent
from ..folder import DistilFolder
from .evaluation import GREEDY_AND_COOL, HeadEvaluation, evaluate, evaluate_all
from .features import HELD_OUT, FeaturePlan, Features, check_shards, draw_shards, read_shard, shard_name
from .plan import HeadPlan
from .public_text import LICENCES
from .training import HeadTraining

GLANCE = 16
"""Held-out texts that are looked at on the way; all of them at the end."""


@dataclass(eq=False)
class HeadJob:
    """A head on its way in its folder; ``target`` is a pair whose draft is not used.

    features : the folder of the shards, which runs may share;  its own by default
    """

    target: ModelPair
    plan: HeadPlan
    folder: DistilFolder
    features: Path

    @classmethod
    def prepared(
        cls, target: ModelPair, plan: HeadPlan, out: str | Path, command: str = "", features: Path | None = None
    ) -> HeadJob:
        """The job; ``ValueError`` for a plan that does not fit the target, or folders of another run or other texts."""
        plan.check(target.target.config.to_dict())
        if target.tokenizer is None:
            raise ValueError(f"target {target.target_name!r} has no tokenizer, which texts to learn from need")
        place = features or Path(out) / "features"
        check_shards(place, feature_plan(plan), target)
        return cls(target, plan, DistilFolder.open(Path(out), command, plan.settings(target)), place)

    @property
    def result(self) -> Path:
        """Where the draft lies once it is finished."""
        return self.folder.draft

    def run(self, checkpoint_seconds: float = 30.0, told: Tell = silent) -> tuple[HeadEvaluation, ...]:
        """Do what is left, and write the head; what every look at the held-out texts found."""
        if not self.folder.is_finished():
            plan = self.plan
            draw_shards(self.target, feature_plan(plan), self.features, plan.shards, partial(told, "features"))
            learnt = joined([read_shard(self.features, shard_name(number)) for number in range(plan.shards)])
            held_out = at_temperature_one(read_shard(self.features, HELD_OUT), plan.temperatures)
            head = self._first(learnt)
            run = HeadTraining(head, plan, learnt)
            self._train(run, held_out, checkpoint_seconds, told)
            self._finish(run, held_out)
        return tuple(map(HeadEvaluation.of, self.folder.evaluations))

    def _first(self, learnt: Features) -> Head:
        """The head that the run begins with."""
        if self.plan.start_from is not None:
            return load_head(self.target.target, self.plan.start_from).in_float32()
        head = Head(self.target.target, self.plan.layers, most_frequent(learnt.mass, self.plan.tokens))
        head.balance(float(np.sqrt(np.square(learnt.states[: self.plan.batch], dtype=np.float32).mean())))
        return head.in_float32()

    def _train(self, run: HeadTraining, held_out: Features, checkpoint_seconds: float, told: Tell) -> None:
        """Take the steps that are left, looking at some held-out texts and writing checkpoints on the way."""
        state, saved = self.folder.checkpoint(), monotonic()
        if state is not None:
            run.restore(state)
        glance = held_out.rows(slice(0, GLANCE))
        if not self.folder.evaluations:
            self.folder.add(asdict(evaluate(run.head, glance, run.steps)))
        while run.steps < run.plan.steps:
            loss = run.step()
            is_last = run.steps == run.plan.steps
            if is_last or run.steps % run.plan.evaluate_every == 0:
                self.folder.add(asdict(evaluate(run.head, glance, run.steps)))
            if is_last or monotonic() - saved >= checkpoint_seconds:
                self.folder.save(run.state())
                saved = monotonic()
            seen = ", ".join(f"{one:.3f}" for one in self.folder.evaluations[-1]["acceptance"])
            told("steps", run.steps, run.plan.steps, f"loss {loss:.4f}, held-out acceptance by depth {seen}")

    def _finish(self, run: HeadTraining, held_out: Features) -> None:
        """Write the head with its card, and measure it as it was written, on all held-out texts."""

        def write(scratch: Path) -> None:
            save_head(run.head, scratch, {})
            written = load_head(self.target.target, scratch)
            save_head(run.head, scratch, self.card(run, written, held_out))

        self.folder.finish(write)

    def card(self, run: HeadTraining, written: Head, held_out: Features) -> dict[str, Any]:
        """What is said of the head: data, places learnt, hours, settings, machine, acceptance as it was written."""
        plan, whole = self.plan, self.target.target.get_output_embeddings()
        before = read_card(plan.start_from) if plan.start_from else {}
        settings = self.folder.head["settings"] | {"start_from": before.get("sha256")}
        found = evaluate_all(written, held_out, run.steps, whole, (1.0, *GREEDY_AND_COOL))
        return {
            "target": self.target.target_name,
            "vocabulary_size": self.target.vocabulary_size,
            "data": "the target's own texts, begun by public text of installed packages and by everyday requests",
            "licences": LICENCES,
            "different_places": plan.texts * (plan.length - 1),
            "places_learnt": plan.steps * plan.batch * (plan.length - 1) + before.get("places_learnt", 0),
            "hours": run.seconds / 3600 + before.get("hours", 0.0),
            "settings": settings,
            "machine": self.folder.head["machine"],
            "held_out": {f"temperature {heat:g}": asdict(one) for heat, one in found.items()},
        }


def feature_plan(plan: HeadPlan) -> FeaturePlan:
    """How the texts that a plan asks for are drawn."""
    return FeaturePlan(plan.rows, plan.length, plan.temperatures, plan.seed)


def most_frequent(mass: Any, count: int) -> list[int]:
    """The tokens (count,) with the largest mass (V,), ascending; lower tokens win ties."""
    return sorted(np.argsort(-np.asarray(mass), kind="stable")[:count].tolist())


def joined(parts: Sequence[Features]) -> Features:
    """All texts of several shards, in order."""
    names = [name for name in Features.__dataclass_fields__ if name != "mass"]
    whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Features(**whole, mass=np.sum([part.mass for part in parts], axis=0))


def at_temperature_one(features: Features, temperatures: Sequence[float]) -> Features:
    """The texts that were drawn at temperature 1, or all if none was."""
    kept = [row for row in range(len(features)) if temperatures[row % len(temperatures)] == 1]
    return features.rows(np.array(kept)) if kept else features
