"""What a draft is taught by: the divergence of its rows from the target's, and a judge that tells them apart."""

from __future__ import annotations

from dataclasses import dataclass

from ..models.backend import torch

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class RowPairs:
    """Rows (M, V) of target and student at M contexts, with logarithms, in float32; ``last`` (M,) their last tokens."""

    target: Tensor
    log_target: Tensor
    student: Tensor
    log_student: Tensor
    last: Tensor

    @classmethod
    def of_logits(cls, target: Tensor, student: Tensor, last: Tensor) -> RowPairs:
        """The rows at temperature 1 of logits (M, V)."""
        logs = [torch.log_softmax(logits.float(), dim=-1) for logits in (target, student)]
        return cls(logs[0].exp(), logs[0], logs[1].exp(), logs[1], last)

    def kl(self) -> Tensor:
        """(M,) sum p log(p / q), in nats."""
        return (self.target * (self.log_target - self.log_student)).sum(dim=-1)

    def tv(self) -> Tensor:
        """(M,) the total variation distance, in [0, 1]; 1 minus it is the acceptance rate of one draft."""
        return (self.target - self.student).abs().sum(dim=-1) / 2


class Judge(torch.nn.Module):
    """A discriminator after KOALA (arXiv:2408.08146): it learns to tell the target's rows from the student's.

    Taken from there: adversarial learning added to supervised distillation, the draft in the generator's place, the
    target's predictions as what is real.  Ours, since the paper's text could be read in abstract only: rows are judged
    whole and not as drawn tokens, so that the student gets a gradient; a row enters as the mean of the target's
    embeddings under it, beside the embedding of the context's last token; the student's loss is the non-saturating one.
    """

    embeddings: Tensor

    def __init__(self, embeddings: Tensor, width: int = 128) -> None:
        super().__init__()
        self.register_buffer("embeddings", embeddings.detach().float(), persistent=False)
        wide = embeddings.shape[1]
        self.layers = torch.nn.Sequential(
            torch.nn.LayerNorm(2 * wide),
            torch.nn.Linear(2 * wide, width),
            torch.nn.SiLU(),
            torch.nn.Linear(width, 1),
        )

    def forward(self, rows: Tensor, last: Tensor) -> Tensor:
        """(M,) log odds that the rows (M, V) are the target's."""
        seen = torch.cat([rows @ self.embeddings, self.embeddings[last]], dim=-1)
        return self.layers(seen)[:, 0]

    def student_loss(self, rows: RowPairs) -> Tensor:
        """(M,) - log of the probability that the judge gives the student's rows; no gradient for the judge."""
        self.requires_grad_(False)
        loss = torch.nn.functional.softplus(-self(rows.student, rows.last))
        self.requires_grad_(True)
        return loss

    def own_loss(self, rows: RowPairs) -> Tensor:
        """(M,) the judge's own cross entropy, the mean over both sides; no gradient for the student."""
        softplus = torch.nn.functional.softplus
        real, drafted = self(rows.target, rows.last), self(rows.student.detach(), rows.last)
        return (softplus(-real) + softplus(drafted)) / 2
