"""The product's own runs as an engine would report them: accepted lengths by request, and a trace of the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from veridraft.theory.rows.trees import DraftTree

from .runs import EngineRun
from .trace_writer import TraceWriter


class RunRecorder:
    """Keeps what decoded requests accepted; ``watch`` gives the observer of one request's steps.

    spec_tokens : L, the most tokens of a tree along a path
    traced : keep the trees with their rows too, as a :class:`TraceWriter` in ``trace``: V float64 numbers a node
    """

    def __init__(self, spec_tokens: int, traced: bool = False) -> None:
        self.spec_tokens = spec_tokens
        self.lengths: list[list[int]] = []
        self.trace = TraceWriter() if traced else None

    def watch(self) -> Callable[[Any], None]:
        """The observer of a new request: it takes steps with ``tau`` and ``tree``."""
        request, taus = len(self.lengths), list[int]()
        self.lengths.append(taus)

        def keep(step: Any) -> None:
            taus.append(int(step.tau))
            if self.trace is not None:
                write_tree(self.trace, request, step.tree.to_theory(), int(step.tau))

        return keep

    def run(self) -> EngineRun:
        """The accepted lengths so far; ``ValueError`` for one above ``spec_tokens``."""
        return EngineRun.of_lengths(self.lengths, self.spec_tokens)


def write_tree(writer: TraceWriter, request: int, tree: DraftTree, accepted: int) -> None:
    """Add a step to a trace: the tree's draws node by node, a node that was drawn twice twice."""
    made = {0: -1}
    parents, nodes = list[int](), list[int]()
    for node, listed in enumerate(tree.child_lists):
        for child in listed:
            made.setdefault(child, len(nodes))
            parents.append(made[node])
            nodes.append(child)
    rows = [0, *nodes]
    writer.step(request, tree.tokens[nodes].tolist(), tree.target[rows], tree.draft[rows], accepted, parents)
