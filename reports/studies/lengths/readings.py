"""One recorded run in every shape that engines report, read back and held against a prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veridraft.gpu.engines.agreement.agreement import (
    LengthAgreement,
    LengthOutcome,
    compare_lengths,
    compare_same_steps,
)
from veridraft.gpu.engines.agreement.predictions import LengthPrediction
from veridraft.gpu.engines.exports import write_lengths, write_prometheus, write_vllm
from veridraft.gpu.engines.lengths import read_run
from veridraft.gpu.engines.recorder import RunRecorder
from veridraft.gpu.engines.runs import EngineRun
from veridraft.gpu.engines.traces import load_trace

SHAPES: dict[str, Callable[[EngineRun, Path], None]] = {
    "vLLM summary": write_vllm,
    "vLLM detailed": lambda run, path: write_vllm(run, path, detailed=True),
    "vLLM counters": write_prometheus,
    "llama.cpp counters": lambda run, path: write_prometheus(run, path, "llamacpp:"),
    "lengths": write_lengths,
}
"""Every text shape with its writer."""

SAME, OTHER = "same steps", "other steps"
"""A trace, held against the rows of its own steps, and against those of another run."""


@dataclass(frozen=True)
class Reading:
    """What a comparison said: the outcome, and the p-value of the whole distribution, ``None`` if it has no test."""

    outcome: LengthOutcome
    p_value: float | None

    @classmethod
    def of(cls, agreement: LengthAgreement) -> Reading:
        """The reading of a comparison."""
        return cls(agreement.outcome, agreement.whole.p_value if agreement.whole else None)

    def to_json(self) -> list[Any]:
        """Outcome and p-value."""
        return [self.outcome.value, self.p_value]


def readings(
    recorder: RunRecorder, own: LengthPrediction, other: LengthPrediction, folder: Path, level: float
) -> dict[str, Reading]:
    """The reading in each shape of a traced run: against the rows of its own steps, and of another run.

    folder : where the files are written, and left; errors are those of the writers and readers
    """
    assert recorder.trace is not None
    recorder.trace.save(folder / "trace.npz")
    trace = load_trace(folder / "trace.npz")
    traced = trace.run(list(range(trace.steps)), other.depth)
    found = {
        SAME: Reading.of(compare_same_steps(own, level)),
        OTHER: Reading.of(compare_lengths(traced, other, level)),
    }
    for number, (name, write) in enumerate(SHAPES.items()):
        path = folder / f"shape-{number}.txt"
        write(recorder.run(), path)
        found[name] = Reading.of(compare_lengths(read_run(path), other, level))
    return found
