"""Teaching a head the target's rows along kept features: a step's batch follows from the plan's seed and its number.

A checkpoint holds all that changes, so that a run that was killed ends with the weights of one that was not (bit for
bit on a CPU; on a GPU up to what its kernels repeat).
"""

from __future__ import annotations

from contextlib import nullcontext
from math import isfinite
from time import monotonic
from typing import Any

from ...models.backend import torch
from ...models.heads.network import Head
from ..learners import Learners
from ..losses import Judge
from .batch import Batch
from .divergence import mean_divergence
from .features import Features
from .levels import unrolled
from .plan import HeadPlan

Tensor = torch.Tensor


class HeadTraining:
    """A head on its way with its judge: everything that a checkpoint holds.  ``seconds`` were spent in steps."""

    def __init__(self, head: Head, plan: HeadPlan, features: Features) -> None:
        self.head, self.plan, self.features = head, plan, features
        self.device = head.projection.weight.device
        head.own.requires_grad_(True)
        self.judge: Judge | None = None
        if plan.weights.adversarial:
            self.judge = Judge.seeded(plan.seed + 1, head.decoder.get_input_embeddings().weight, head.tokens)
        networks = {"head": head.own} | ({"judge": self.judge} if self.judge else {})
        self.learners = Learners(networks, plan.learning_rate)
        self.steps, self.seconds = 0, 0.0

    def step(self) -> float:
        """One batch; the loss before it.  Raises ``FloatingPointError`` for a loss that is not finite."""
        begin = monotonic()
        batch = Batch.of(self.features, self.plan.numbers(self.steps), self.device)
        losses = self._losses(batch, torch.Generator(self.device).manual_seed(self.plan.seed * 2**32 + self.steps))
        torch.stack(list(losses.values())).sum().backward()
        loss = losses["head"].item()
        if not isfinite(loss):
            raise FloatingPointError(f"the loss of step {self.steps} is {loss}")
        self.learners.advance(self.plan.rate(self.steps))
        self.steps, self.seconds = self.steps + 1, self.seconds + monotonic() - begin
        return loss

    def _losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean losses of head and judge over places and levels, a level weighing ``fade`` times the one above."""
        with torch.no_grad():
            target = batch.rows(self.head)
        fades = [self.plan.fade**level for level in range(self.plan.depth)]
        sums: dict[str, Tensor] = {}
        with self._autocast():
            outputs = unrolled(self.head, batch.tokens, self._noisy(batch.states, rng), len(fades))
            for level, output in enumerate(outputs):
                found = self._level(target[:, level:], output.logits[:, level:], batch.tokens[:, level:])
                for name, loss in found.items():
                    sums[name] = sums.get(name, 0) + fades[level] / sum(fades) * loss
        return sums

    def _level(self, target: Tensor, logits: Tensor, last: Tensor) -> dict[str, Tensor]:
        """The mean losses (), of one level's logits (B, n, M) behind the tokens ``last`` (B, n)."""
        weights = self.plan.weights
        mixed = mean_divergence(target, logits, weights)
        if self.judge is None:
            return {"head": mixed}
        student = torch.softmax(logits.float(), dim=-1)
        fooled = self.judge.student_loss(student, last).mean()
        return {
            "head": mixed + weights.adversarial * fooled,
            "judge": self.judge.own_loss(target, student, last).mean(),
        }

    def _noisy(self, states: Tensor, rng: torch.Generator) -> Tensor:
        scale = self.plan.noise * states.square().mean().sqrt()
        return states + scale * torch.randn(states.shape, generator=rng, device=states.device)

    def _autocast(self) -> Any:
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()

    def state(self) -> dict[str, Any]:
        """Everything that changes, as ``torch.save`` takes it."""
        return {"steps": self.steps, "seconds": self.seconds} | self.learners.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.steps, self.seconds = state["steps"], state["seconds"]
        self.learners.restore(state)
