"""Distillation: a small draft learns the rows of a target along texts that the target drew.

A run is a function of its plan and the target: batches follow from the seed and the step, and checkpoints hold all
that changes, so that a run that was killed ends with the weights of one that was not (bit for bit on a CPU; on a GPU
up to what its kernels repeat).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from ..models.backend import torch
from ..models.pairs import ModelPair, quiet
from .folder import DistilFolder
from .learners import Learners
from .losses import Judge, RowPairs
from .plan import DistilPlan, check_micro_batch
from .samples import SamplePlan, Samples, sampled
from .students import make_student


@dataclass(frozen=True)
class Evaluation:
    """A student on the held-out samples: means over their places.

    acceptance : 1 minus the total variation distance to the target's rows, which is the exact expected acceptance
        rate of one draft there; ``standard_error`` takes the sequences as independent
    kl : in nats;  agreement : the share of places where both rows have the same largest entry
    """

    step: int
    acceptance: float
    standard_error: float
    kl: float
    agreement: float


class Distillation:
    """A student on its way, with its optimiser and its judge: everything that a checkpoint holds.

    ``micro_batch`` sequences pass through the networks at once; a step adds up their gradients.
    """

    def __init__(
        self, target: Any, student: Any, plan: DistilPlan, samples: Samples, micro_batch: int | None = None
    ) -> None:
        self.target, self.student, self.plan, self.samples = target, student, plan, samples
        self.micro_batch = micro_batch or plan.batch
        self.device = next(target.parameters()).device
        self.judge: Judge | None = None
        if plan.weights.adversarial:
            self.judge = Judge.seeded(plan.seed + 1, target.get_input_embeddings().weight)
        networks = {"student": student} | ({"judge": self.judge} if self.judge else {})
        self.learners = Learners(networks, plan.learning_rate)
        self.steps = 0

    def step(self) -> float:
        """One batch; the loss before it.

        Raises ``FloatingPointError`` for a loss that is not finite, ``MemoryError`` if the batch does not fit.
        """
        batch = self.samples.rows(self.plan.numbers(self.steps))
        try:
            loss = self._differentiate(batch)
        except torch.OutOfMemoryError as error:
            raise MemoryError(f"{self.micro_batch} sequences at once do not fit: give a smaller micro-batch") from error
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss of step {self.steps} is {loss}")
        self.learners.advance(self.plan.rate(self.steps))
        self.steps += 1
        return loss

    def _differentiate(self, batch: Samples) -> float:
        """Add the gradients of a batch's mean losses to the weights; the student's loss."""
        places = int(batch.drawn().sum())
        total = torch.zeros((), device=self.device)
        for part in parts(batch, self.micro_batch):
            losses = {name: loss.sum() / places for name, loss in self._losses(self.rows(part)).items()}
            torch.stack(list(losses.values())).sum().backward()
            total += losses["student"].detach()
        return float(total)

    def _losses(self, rows: RowPairs) -> dict[str, torch.Tensor]:
        """The losses (M,) of the student, as the weights mix them, and of the judge."""
        weights = self.plan.weights
        mixed = weights.kl * rows.kl() + weights.tv * rows.tv()
        if self.judge is None:
            return {"student": mixed}
        return {
            "student": mixed + weights.adversarial * self.judge.student_loss(rows.student, rows.last),
            "judge": self.judge.own_loss(rows.target, rows.student, rows.last),
        }

    def rows(self, samples: Samples) -> RowPairs:
        """Both networks' rows at the places of some sequences whose next token was drawn."""
        tokens = torch.from_numpy(samples.tokens.astype(np.int64)).to(self.device)
        drawn = torch.from_numpy(samples.drawn()).to(self.device)
        with torch.no_grad():
            target = self.target(input_ids=tokens[:, :-1], use_cache=False).logits[drawn]
        on_gpu = self.device.type == "cuda"
        with torch.autocast("cuda", torch.bfloat16) if on_gpu else nullcontext():
            student = self.student(input_ids=tokens[:, :-1], use_cache=False).logits[drawn]
        return RowPairs.of_logits(target, student, tokens[:, :-1][drawn])

    @torch.no_grad()
    def evaluate(self, held_out: Samples) -> Evaluation:
        """The student as it is, on held-out samples."""
        sums = []
        for part in parts(held_out, self.micro_batch):
            rows = self.rows(part)
            agrees = rows.target.argmax(dim=-1) == rows.student.argmax(dim=-1)
            values = torch.stack([1 - rows.tv(), rows.kl(), agrees.float()], dim=1).double().cpu().numpy()
            ends = np.cumsum(part.drawn().sum(axis=1))[:-1]
            sums += [one.sum(axis=0) for one in np.split(values, ends)]
        counts = held_out.drawn().sum(axis=1)
        means = np.sum(sums, axis=0) / counts.sum()
        residuals = np.array(sums)[:, 0] - means[0] * counts
        error = float(np.sqrt((residuals**2).sum()) / counts.sum())
        return Evaluation(self.steps, float(means[0]), error, float(means[1]), float(means[2]))

    def state(self) -> dict[str, Any]:
        """Everything that changes, as ``torch.save`` takes it."""
        return {"steps": self.steps} | self.learners.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.steps = state["steps"]
        self.learners.restore(state)


def parts(samples: Samples, size: int) -> Sequence[Samples]:
    """The samples, so many sequences at a time."""
    return [samples.rows(slice(first, first + size)) for first in range(0, len(samples), size)]


Tell = Callable[[str, int, int, str], None]
"""``told(part, done, all, detail)`` hears how far a run is."""


def silent(part: str, done: int, whole: int, detail: str) -> None:
    """Say nothing."""


@dataclass(eq=False)
class DistilJob:
    """A distillation in its folder, checked and ready to run; ``target`` is a pair whose draft is not used."""

    target: ModelPair
    student: Any
    plan: DistilPlan
    samples: SamplePlan
    folder: DistilFolder
    micro_batch: int | None

    @classmethod
    def prepared(
        cls, target: ModelPair, plan: DistilPlan, out: str | Path, command: str = "", micro_batch: int | None = None
    ) -> DistilJob:
        """The job; raises ``ValueError`` as :func:`distil` does."""
        check_micro_batch(micro_batch)
        samples, student = SamplePlan.of(plan, target), make_student(target.target, plan.student, plan.seed)
        folder = DistilFolder.open(Path(out), command, plan.settings(target))
        return cls(target, student, plan, samples, folder, micro_batch)

    @property
    def result(self) -> Path:
        """Where the draft lies once it is finished."""
        return self.folder.draft

    def run(self, checkpoint_seconds: float = 30.0, told: Tell = silent) -> tuple[Evaluation, ...]:
        """Do what is left, and write the draft; what every look at the held-out samples found."""
        if not self.folder.is_finished():
            model, place = self.target.target, self.folder.path / "samples"
            drawn, held_out = sampled(model, self.samples, place, partial(told, "samples"))
            run = Distillation(model, self.student, self.plan, drawn, self.micro_batch)
            train(run, held_out, self.folder, checkpoint_seconds, told)
            self.folder.finish(partial(write_model, run.student, self.target.tokenizer))
        return tuple(Evaluation(**one) for one in self.folder.evaluations)


def write_model(student: Any, tokenizer: Any, folder: Path) -> None:
    """Write a student as a model folder, with the target's tokenizer."""
    with quiet():
        student.eval().save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def distil(
    target: ModelPair,
    plan: DistilPlan,
    out: str | Path,
    *,
    command: str = "",
    micro_batch: int | None = None,
    checkpoint_seconds: float = 30.0,
    told: Tell = silent,
) -> tuple[Evaluation, ...]:
    """The looks at the held-out samples, the first at the untrained student; the draft lies in ``out``/draft.

    ``target`` is a pair whose draft is not used.  What ``out`` holds of the same plan is gone on from: finished
    shards of samples, and the last checkpoint, written every ``checkpoint_seconds``.  ``micro_batch`` sequences pass
    through the networks at once.
    Raises ``ValueError`` before any work for a plan that does not fit the target, or a folder that holds another
    run, naming the first setting that differs; later ``FloatingPointError`` or ``MemoryError``.
    """
    return DistilJob.prepared(target, plan, out, command, micro_batch).run(checkpoint_seconds, told)


def train(run: Distillation, held_out: Samples, folder: DistilFolder, checkpoint_seconds: float, told: Tell) -> None:
    """Take the steps that are left, looking at the held-out samples and writing checkpoints on the way."""
    state, saved = folder.checkpoint(), monotonic()
    if state is not None:
        run.restore(state)
    if not folder.evaluations:
        folder.add(asdict(run.evaluate(held_out)))
    while run.steps < run.plan.steps:
        loss = run.step()
        is_last = run.steps == run.plan.steps
        if is_last or run.steps % run.plan.evaluate_every == 0:
            folder.add(asdict(run.evaluate(held_out)))
        if is_last or monotonic() - saved >= checkpoint_seconds:
            folder.save(run.state())
            saved = monotonic()
        seen = folder.evaluations[-1]["acceptance"]
        told("steps", run.steps, run.plan.steps, f"loss {loss:.4f}, held-out acceptance {seen:.4f}")
