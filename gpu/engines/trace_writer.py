"""A trace of speculative steps, written by any engine: paste this file into it; it needs NumPy and nothing else."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class TraceWriter:
    """What one engine drafted, saw and accepted, step by step; ``save`` writes it as one ``.npz`` file.

    After every verification call ``step``; a sample of the steps will do, chosen without looking at what was accepted.
    """

    def __init__(self) -> None:
        self.found: dict[str, list[Any]] = {name: [] for name in ("requests", "accepted", "parents", "tokens")}
        self.draws, self.rows = [0], {"target": list[Any](), "draft": list[Any]()}
        self.vocabulary_size = 0

    def step(
        self,
        request: int,
        tokens: Sequence[int],
        target: Any,
        draft: Any,
        accepted: int,
        parents: Sequence[int] | None = None,
    ) -> None:
        """Keep one step: D drafted tokens, in draw order, of which ``accepted`` (one after another) were kept.

        target : (D + 1, V) next-token laws, of the context itself and after each drafted token, as the verifier saw
            them (temperature, top-k, top-p applied); draft : (D, V) or (D + 1, V) likewise, zeros where none was made
        parents : D numbers, the draw that a token was drawn behind, -1 for the context; a chain if left out
        """
        size = len(tokens)
        rows = {"target": np.asarray(target, dtype=np.float64), "draft": np.asarray(draft, dtype=np.float64)}
        if len(rows["target"]) != size + 1 or len(rows["draft"]) not in (size, size + 1):
            raise ValueError(
                f"{size} drafted tokens, but {[len(part) for part in rows.values()]} target and draft rows"
            )
        self.vocabulary_size = rows["target"].shape[1]
        rows["draft"] = np.vstack([rows["draft"], np.zeros((1, self.vocabulary_size))])[: size + 1]
        kept = {name: [_nonzero(name, request, row) for row in part] for name, part in rows.items()}
        behind = range(-1, size - 1) if parents is None else parents
        values = {"requests": [request], "accepted": [accepted], "parents": behind, "tokens": tokens}
        for held, more in ((self.rows, kept), (self.found, values)):
            for name, part in more.items():
                held[name] += part
        self.draws.append(self.draws[-1] + size)

    def arrays(self) -> dict[str, Any]:
        """The arrays of the file by name: rows are held as their nonzero entries."""
        made = {name: np.array(values, dtype=np.int64) for name, values in self.found.items()}
        made |= {"vocabulary_size": np.array(self.vocabulary_size), "draws": np.array(self.draws)}
        for name, rows in self.rows.items():
            made[name] = np.cumsum([0, *(len(places) for places, _ in rows)]).astype(np.int64)
            made[f"{name}_tokens"] = np.concatenate([places for places, _ in rows]).astype(np.int64)
            made[f"{name}_values"] = np.concatenate([values for _, values in rows])
        return made

    def save(self, path: Any) -> None:
        """Write the file; ``safetensors.numpy.save_file(writer.arrays(), path)`` does as well."""
        np.savez_compressed(path, **self.arrays())


def _nonzero(name: str, request: int, row: Any) -> tuple[Any, Any]:
    """Places and values of the nonzero entries; float32 rows, which miss 1 by rounding, are made to sum to 1 here."""
    total = row.sum()
    if (row < 0).any() or not (abs(total - 1) < 1e-3 or (name == "draft" and total == 0)):
        raise ValueError(f"a {name} row of request {request} sums to {total}, not 1, or has a negative entry")
    return np.flatnonzero(row), row[row > 0] / total
