"""What commands share that teach a network: loading the target, running the job, and saying how far it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ...running.console import STOPPED, bad_input, broken_off, say_stopped
from ...running.models import LOADING
from ...running.progress import ProgressLine, Talk


def load_target(options: Any) -> Any:
    """The target, as a pair with itself."""
    from veridraft.gpu.models.pairs import check_device, load_alone

    check_device(options.device)
    Talk.say(LOADING)
    return load_alone(options.target, options.device, options.dtype)


def run_job(command: str, options: Any, prepared: Callable[[Any], Any], table: Callable[[Any], str]) -> int:
    """The exit status of a job that the options ask for; the last line printed is where its result lies."""
    try:
        with bad_input(command):
            job = prepared(options)
        with broken_off(command), Told() as told:
            found = job.run(options.checkpoint_seconds, told)
    except KeyboardInterrupt:
        say_stopped(options.out)
        return STOPPED
    print(table(found), end="\n\n")
    print(job.result)
    return 0


class Told(ExitStack):
    """Progress of the parts of a run, one after the other."""

    part, progress = "", None

    def __call__(self, part: str, done: int, whole: int, detail: str) -> None:
        """Say that so many pieces of a part are done."""
        if self.progress is None or part != self.part:
            self.close()
            self.part, self.progress = part, self.enter_context(ProgressLine(part, whole, done=done - 1))
        self.progress.reach(done, whole, detail)
