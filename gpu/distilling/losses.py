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

    ``tokens`` (M,) are those that rows have entries of, all by default.
    """

    embeddings: Tensor
    columns: Tensor

    def __init__(self, embeddings: Tensor, tokens: Tensor | None = None, width: int = 128) -> None:
        super().__init__()
        all_rows = embeddings.detach().float()
        self.register_buffer("embeddings", all_rows, persistent=False)
        self.register_buffer("columns", all_rows if tokens is None else all_rows[tokens], persistent=False)
        wide = embeddings.shape[1]
        self.layers = torch.nn.Sequential(
            torch.nn.LayerNorm(2 * wide),
            torch.nn.Linear(2 * wide, width),
            torch.nn.SiLU(),
            torch.nn.Linear(width, 1),
        ).to(embeddings.device)

    @classmethod
    def seeded(cls, seed: int, embeddings: Tensor, tokens: Tensor | None = None) -> Judge:
        """A judge whose first weights follow from a seed alone."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return cls(embeddings, tokens)

    def forward(self, rows: Tensor, last: Tensor) -> Tensor:
        """(...) log odds that the rows (..., M) behind the tokens ``last`` (...) are the target's."""
        seen = torch.cat([rows @ self.columns, self.embeddings[last]], dim=-1)
        return self.layers(seen)[..., 0]

    def student_loss(self, student: Tensor, last: Tensor) -> Tensor:
        """(...) - log of the probability that the judge gives the student's rows; no gradient for the judge."""
        self.requires_grad_(False)
        loss = torch.nn.functional.softplus(-self(student, last))
        self.requires_grad_(True)
        return loss

    def own_loss(self, target: Tensor, student: Tensor, last: Tensor) -> Tensor:
        """(...) the judge's own cross entropy, the mean over both sides; no gradient for the student."""
        softplus = torch.nn.functional.softplus
        real, drafted = self(target, last), self(student.detach(), last)
        return (softplus(-real) + softplus(drafted)) / 2
