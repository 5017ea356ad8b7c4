"""Teaching a head the target's rows along kept features: a step's batch follows from the plan's seed and its number.

A checkpoint holds all that changes, so that a run that was killed ends with the weights of one that was not (bit for
bit on a CPU; on a GPU up to what its kernels repeat).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.backend import torch
from ...models.heads.network import Head
from .divergence import mean_divergence
from .features import Features
from .levels import unrolled
from .plan import DEEPEST, HeadPlan

Tensor = torch.Tensor


@dataclass(frozen=True)
class HeadEvaluation:
    """A head on held-out texts at temperature 1, at places whose next token the target drew.

    acceptance : by depth, the mean of the sum of min(p, q), which is the exact expected acceptance rate of one draft
        there, where the tokens above it are the target's own; ``standard_errors`` take texts as independent
    coverage : the mean of the target's probability of the head's tokens, which no acceptance can exceed
    """

    step: int
    acceptance: tuple[float, ...]
    standard_errors: tuple[float, ...]
    coverage: float

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> HeadEvaluation:
        """What a record says, as JSON gives it back."""
        rates, errors = tuple(record["acceptance"]), tuple(record["standard_errors"])
        return cls(record["step"], rates, errors, record["coverage"])


@dataclass(frozen=True, eq=False)
class Batch:
    """Some texts on the device: tokens (B, n), states (B, n, D), log totals (B, n), and whether the next is drawn."""

    tokens: Tensor
    states: Tensor
    log_totals: Tensor
    drawn: Tensor

    @classmethod
    def of(cls, features: Features, numbers: Any, device: torch.device) -> Batch:
        """The texts with these numbers."""
        return cls(
            torch.from_numpy(features.tokens[numbers, :-1].astype(np.int64)).to(device),
            torch.from_numpy(features.states[numbers].astype(np.float32)).to(device),
            torch.from_numpy(features.log_totals[numbers]).to(device),
            torch.from_numpy(features.drawn[numbers, 1:]).to(device),
        )

    def rows(self, head: Head) -> Tensor:
        """(B, n, M) the target's probabilities of the head's tokens."""
        return (head.output(self.states) - self.log_totals[..., None]).exp_()


class HeadTraining:
    """A head on its way with its optimiser: everything that a checkpoint holds."""

    def __init__(self, head: Head, plan: HeadPlan, features: Features) -> None:
        self.head, self.plan, self.features = head, plan, features
        self.device = head.projection.weight.device
        self.learners = list(head.own.parameters())
        for one in self.learners:
            one.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(self.learners, lr=plan.learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
        self.steps = 0

    def step(self) -> float:
        """One batch; the loss before it.  Raises ``FloatingPointError`` for a loss that is not finite."""
        batch = Batch.of(self.features, self.plan.numbers(self.steps), self.device)
        loss = self._loss(batch, torch.Generator(self.device).manual_seed(self.plan.seed * 2**32 + self.steps))
        loss.backward()
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of step {self.steps} is {loss.item()}")
        torch.nn.utils.clip_grad_norm_(self.learners, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate(self.steps)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        return loss.item()

    def _loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """The mean loss over places and levels, a level weighing ``fade`` times the one above it."""
        with torch.no_grad():
            target = batch.rows(self.head)
        fades = [self.plan.fade**level for level in range(self.plan.depth)]
        losses = []
        with self._autocast():
            outputs = unrolled(self.head, batch.tokens, self._noisy(batch.states, rng), len(fades))
            for level, output in enumerate(outputs):
                found = mean_divergence(target[:, level:], output.logits[:, level:], self.plan.weights)
                losses.append(fades[level] * found)
        return torch.stack(losses).sum() / sum(fades)

    def _noisy(self, states: Tensor, rng: torch.Generator) -> Tensor:
        scale = self.plan.noise * states.square().mean().sqrt()
        return states + scale * torch.randn(states.shape, generator=rng, device=states.device)

    def _autocast(self) -> Any:
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()

    @torch.no_grad()
    def evaluate(self, held_out: Features) -> HeadEvaluation:
        """The head as it is, on held-out texts."""
        return evaluate(self.head, held_out, self.steps)

    def state(self) -> dict[str, Any]:
        """Everything that changes, as ``torch.save`` takes it."""
        return {"steps": self.steps, "head": self.head.own.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.steps = state["steps"]
        self.head.own.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])


TOGETHER = 4
"""Held-out texts in the head at once."""


@torch.no_grad()
def evaluate(head: Head, held_out: Features, step: int = 0, depth: int = DEEPEST) -> HeadEvaluation:
    """A head on held-out texts."""
    parts = [slice(first, first + TOGETHER) for first in range(0, len(held_out), TOGETHER)]
    found = [_sums(head, Batch.of(held_out, part, head.projection.weight.device), depth) for part in parts]
    total, count, covered = (np.concatenate(one) for one in zip(*found, strict=True))
    means = total.sum(axis=0) / count.sum(axis=0)
    errors = np.sqrt(((total - means * count) ** 2).sum(axis=0)) / count.sum(axis=0)
    coverage = float(covered.sum() / count[:, 0].sum())
    return HeadEvaluation(step, tuple(means.tolist()), tuple(errors.tolist()), coverage)


def _sums(head: Head, batch: Batch, depth: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """By text and level the sum of acceptance rates and the number of places (B, depth), and what is covered (B,)."""
    target = batch.rows(head)
    levels = unrolled(head, batch.tokens, batch.states, depth)
    found = [_accepted(target, output.logits, batch.drawn, level) for level, output in enumerate(levels)]
    sums, counts = (np.stack(one, axis=1) for one in zip(*found, strict=True))
    return sums, counts, (target.sum(dim=-1) * batch.drawn).sum(dim=1).cpu().numpy()


def _accepted(target: Tensor, logits: Tensor, drawn: Tensor, level: int) -> tuple[Any, Any]:
    """By text, the sum over its drawn places of the acceptance rate at a level, and how many places these are."""
    counted = drawn.clone()
    counted[:, :level] = False
    rates = torch.minimum(target, torch.softmax(logits.float(), dim=-1)).sum(dim=-1).double()
    return (rates * counted).sum(dim=1).cpu().numpy(), counted.sum(dim=1).cpu().numpy()
