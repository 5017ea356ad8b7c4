"""What an audit costs beside the verifier that it calls: trials per second, and the audit's own share.

    python benchmarks/bench_audit.py [trials]

Every verifier is speculative sampling, audited on the default cases of its form, without chosen uniforms.  "Own
share" is the part of the time that is not spent inside the verifier.  A short audit comes first, so that libraries
that are loaded when they are needed are not timed.  Set OMP_NUM_THREADS=1 to time one core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from veridraft.simulate import PROCEDURES, audit
from veridraft.simulate.defects.correct.token_wise import TokenWise


def one_at_a_time(target: Any, draft: Any, tokens: Any, rng: np.random.Generator) -> list[int]:
    """Speculative sampling of one chain, as one would write it."""
    emitted: list[int] = []
    for p, q, x in zip(target, draft, tokens, strict=False):
        if rng.random() * q[x] >= p[x]:
            rest = np.cumsum(np.maximum(p - q, 0.0))
            return [*emitted, int(np.searchsorted(rest, rng.random() * rest[-1], side="right"))]
        emitted.append(int(x))
    whole = np.cumsum(target[-1])
    return [*emitted, int(np.searchsorted(whole, rng.random() * whole[-1], side="right"))]


class Timed:
    """A verifier that adds up the seconds spent in it."""

    def __init__(self, verifier: Callable[..., Any]) -> None:
        self.verifier, self.seconds = verifier, 0.0

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """What the verifier returns."""
        start = perf_counter()
        answer = self.verifier(*arguments, **keywords)
        self.seconds += perf_counter() - start
        return answer


def tree_chain(target: Any, draft: Any, parents: Any, tokens: Any, rng: np.random.Generator) -> list[int]:
    """Sampler match on a tree, as one would write it."""
    node, emitted = 0, []
    while True:
        whole = np.cumsum(target[node])
        emitted.append(int(np.searchsorted(whole, rng.random() * whole[-1], side="right")))
        below = np.flatnonzero((parents == node) & (tokens == emitted[-1]))
        if not len(below):
            return emitted
        node = int(below[0])


ROWS = (
    ("chain, one at a time", one_at_a_time, {"form": "chain"}, 1),
    ("chain, batched", TokenWise(), {"form": "chain", "batched": True}, 20),
    ("paths, batched", PROCEDURES["specinfer"], {"form": "paths", "batched": True}, 20),
    ("tree, one at a time", tree_chain, {"form": "tree"}, 1),
    ("tree, one at a time, merged", tree_chain, {"form": "tree", "multiplicity": False}, 1),
)


def measure(title: str, verifier: Callable[..., Any], options: dict[str, Any], trials: int) -> str:
    """One line of the table."""
    timed = Timed(verifier)
    start = perf_counter()
    result = audit(timed, trials=trials, chosen_uniforms=False, **options)
    seconds = perf_counter() - start
    own = 1.0 - timed.seconds / seconds
    speed = f"{seconds:9.2f}{result.trials / seconds:14,.0f}"
    return f"{title:30}{result.trials:12,}{speed}{own:12.0%}  {result.verdict.value}"


def main() -> None:
    """Print the table."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    print(f"{'verifier':30}{'trials':>12}{'seconds':>9}{'trials / s':>14}{'own share':>12}  verdict")
    audit(one_at_a_time, trials=500)
    for title, verifier, options, times in ROWS:
        print(measure(title, verifier, options, trials * times), flush=True)


if __name__ == "__main__":
    main()
