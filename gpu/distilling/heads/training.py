"""Teaching a head the target's rows along kept features: a step's batch follows from the plan's seed and its number.

A checkpoint holds all that changes, so that a run that was killed ends with the weights of one that was not (bit for
bit on a CPU; on a GPU up to what its kernels repeat).
"""

from __future__ import annotations

from contextlib import nullcontext
from time import monotonic
from typing import Any

from ...models.backend import torch
from ...models.heads.network import Head
from .batch import Batch
from .divergence import mean_divergence
from .features import Features
from .levels import unrolled
from .plan import HeadPlan

Tensor = torch.Tensor


class HeadTraining:
    """A head on its way with its optimiser: everything that a checkpoint holds.  ``seconds`` were spent in steps."""

    def __init__(self, head: Head, plan: HeadPlan, features: Features) -> None:
        self.head, self.plan, self.features = head, plan, features
        self.device = head.projection.weight.device
        self.learners = list(head.own.parameters())
        for one in self.learners:
            one.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(self.learners, lr=plan.learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
        self.steps, self.seconds = 0, 0.0

    def step(self) -> float:
        """One batch; the loss before it.  Raises ``FloatingPointError`` for a loss that is not finite."""
        begin = monotonic()
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
        self.steps, self.seconds = self.steps + 1, self.seconds + monotonic() - begin
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

    def state(self) -> dict[str, Any]:
        """Everything that changes, as ``torch.save`` takes it."""
        spent = {"steps": self.steps, "seconds": self.seconds}
        return spent | {"head": self.head.own.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.steps, self.seconds = state["steps"], state["seconds"]
        self.head.own.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
