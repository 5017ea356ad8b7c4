"""The mixed divergence of a head's rows from the target's, with its gradient in closed form.

Rows are wide and texts long: what autograd would keep and pass over again for each operation costs more than the
head itself.
"""

from __future__ import annotations

from typing import Any

from ...models.backend import torch
from ..plan import LossWeights

Tensor = torch.Tensor


def mean_divergence(target: Tensor, logits: Tensor, weights: LossWeights) -> Tensor:
    """The mean over rows of ``kl`` sum p log(p / q) + ``tv`` sum |p - q| / 2, over the head's tokens alone.

    target : (..., M) the target's probabilities p of the head's tokens, which sum to 1 or less; logits : (..., M) of
    the head's rows q
    """
    loss: Tensor = _Divergence.apply(target.flatten(0, -2), logits.flatten(0, -2), weights.kl, weights.tv)
    return loss


class _Divergence(torch.autograd.Function):
    """With P = sum p and s = sign(q - p) / 2 the gradient by the logits is kl (P q - p) + tv q (s - sum q s)."""

    @staticmethod
    def forward(ctx: Any, target: Tensor, logits: Tensor, kl: float, tv: float) -> Tensor:
        """The mean (), the gradient kept for the way back."""
        wide = logits.to(target.dtype)
        rows = torch.softmax(wide, dim=-1)
        mass = target.sum(dim=-1, keepdim=True)
        entropy = torch.special.entr(target).sum(dim=-1)
        cross = torch.logsumexp(wide, dim=-1) * mass[:, 0] - torch.linalg.vecdot(target, wide)
        apart = rows - target
        loss = kl * (cross - entropy) + tv * apart.abs().sum(dim=-1) / 2
        signs = apart.sign_().mul_(tv / 2)
        pull = mass * kl - torch.linalg.vecdot(rows, signs)[:, None]
        gradient = rows.mul_(signs.add_(pull)).sub_(target, alpha=kl)
        ctx.save_for_backward(gradient.div_(len(loss)).to(logits.dtype))
        return loss.mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        """The gradient by the logits alone."""
        (gradient,) = ctx.saved_tensors
        return None, gradient * outer[0], None, None
