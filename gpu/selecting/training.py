"""Teaching a network for one verifier: a checkpoint holds all that changes, so that a killed run ends with the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import Row

from ..models.backend import torch
from .choices import apply_static, static
from .data.examples import Examples, Labels
from .network import Inputs, SelectorNetwork
from .plan import TrainingPlan
from .schema import BLOCKS

Tensor = torch.Tensor


class SelectorTraining:
    """A network with its optimiser; every fifth text, or as the plan says, is kept to choose the state by.

    The baseline is the best one action of each sampling, delay included, at the roots to learn from.  ``cost`` (R,) is
    what choosing adds to every step, and to one without a draft the draft's pass over the root, too.
    """

    def __init__(
        self, plan: TrainingPlan, examples: Examples, labels: Labels, choice: float,
        samplings: Sequence[tuple[float, float]],
    ) -> None:  # fmt: skip
        self.plan, self.inputs = plan, Inputs.of(examples)
        checked = examples.texts % plan.checked == plan.checked - 1
        self.checked, self.learnt = (torch.from_numpy(np.flatnonzero(one)) for one in (checked, ~checked))
        everywhere = np.ones(len(labels.allowed), dtype=bool)
        baselines = static(labels, everywhere)
        base = apply_static(baselines, examples.samplings)
        places = np.arange(len(examples))
        self.base = torch.from_numpy(labels.tokens[places, base] / labels.seconds[places, base]).float()
        self.tokens = torch.from_numpy(np.nan_to_num(labels.tokens)).float()
        self.seconds = torch.from_numpy(with_choice(labels, choice)).float()
        self.network = self._network(labels, baselines, samplings)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=plan.learning_rate, weight_decay=0.01)
        self.steps, self.best_loss, self.best_step = 0, float("inf"), 0
        self.best: dict[str, Tensor] = {}
        self._look()

    def _network(
        self, labels: Labels, baselines: Mapping[int, int], samplings: Sequence[tuple[float, float]]
    ) -> SelectorNetwork:
        widths = [self.inputs.states[name].shape[1] for name in BLOCKS]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            sizes = widths, self.inputs.scalars.shape[1], labels.allowed.tolist()
            network = SelectorNetwork(*sizes, samplings, self.plan.dropout)
        network.begin(self.inputs.some(self.learnt), baselines)
        return network

    def step(self) -> float:
        """One batch; the loss before it.  Raises ``FloatingPointError`` for a loss that is not finite."""
        rng = np.random.default_rng([self.plan.seed, self.steps])
        rows = self.learnt[torch.from_numpy(rng.integers(len(self.learnt), size=self.plan.batch))]
        self.network.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            loss = self.loss(rows)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of step {self.steps} is {loss.item()}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.steps += 1
        if self.steps % self.plan.every == 0 or self.steps == self.plan.steps:
            self._look()
        return loss.item()

    def loss(self, rows: Tensor) -> Tensor:
        """Of some roots: the mean of -log(TPS / baseline), and the mean square of the worst that fall below it."""
        mixed = torch.softmax(self.network(self.inputs.some(rows)), dim=1)
        rate = (mixed * self.tokens[rows]).sum(dim=1) / (mixed * self.seconds[rows]).sum(dim=1)
        gains = torch.log(rate / self.base[rows])
        worst = torch.sort((-gains).clamp(min=0), descending=True).values
        worst = worst[: max(1, round(self.plan.worst * len(rows)))]
        return -gains.mean() + self.plan.regret * worst.square().mean()

    @torch.no_grad()
    def _look(self) -> None:
        """Keep the state if it does better than any before on the texts that are kept for that."""
        self.network.eval()
        loss = float(self.loss(self.checked))
        if loss < self.best_loss:
            self.best_loss, self.best_step = loss, self.steps
            self.best = {name: one.clone() for name, one in self.network.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Everything that changes, as ``torch.save`` takes it."""
        names = ("steps", "best_loss", "best_step", "best")
        networks = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        return {name: getattr(self, name) for name in names} | networks

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for name in ("steps", "best_loss", "best_step", "best"):
            setattr(self, name, state[name])
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def with_choice(labels: Labels, choice: float) -> Row:
    """(R, A) seconds of a step with a choice: its cost, and the draft's pass at the root where none is planned."""
    is_plain = labels.seconds == labels.seconds[:, :1]  # as the first action, of no level: any other takes longer
    found: Row = labels.seconds + choice + np.where(is_plain, labels.draft_pass[:, None], 0)
    return found
