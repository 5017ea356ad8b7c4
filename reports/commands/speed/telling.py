"""What both kinds of ``veridraft distil`` share: loading the target, and saying how far a run is."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from ...running.models import LOADING
from ...running.progress import ProgressLine, Talk


def load_target(options: Any) -> Any:
    """The target, as a pair with itself."""
    from veridraft.gpu.models.pairs import check_device, load_alone

    check_device(options.device)
    Talk.say(LOADING)
    return load_alone(options.target, options.device, options.dtype)


class Told(ExitStack):
    """Progress of the parts of a run, one after the other."""

    part, progress = "", None

    def __call__(self, part: str, done: int, whole: int, detail: str) -> None:
        """Say that so many pieces of a part are done."""
        if self.progress is None or part != self.part:
            self.close()
            self.part, self.progress = part, self.enter_context(ProgressLine(part, whole, done=done - 1))
        self.progress.step(detail)
