"""The loop of drafting, target pass and verification, for many requests at once."""

from typing import TYPE_CHECKING

from veridraft._lazy import lazily

if TYPE_CHECKING:
    from .batch import BatchDecoder
    from .generation import speculative
    from .recording import PromptPair, record_run
    from .requests import Block, Ending, Request, Written
    from .step_watch import WatchedDecoder, Watcher

__all__ = [
    "BatchDecoder",
    "Block",
    "Ending",
    "PromptPair",
    "Request",
    "WatchedDecoder",
    "Watcher",
    "Written",
    "record_run",
    "speculative",
]

__getattr__ = lazily(
    __name__,
    {
        ".batch": "BatchDecoder",
        ".requests": "Block Ending Request Written",
        ".generation": "speculative",
        ".recording": "PromptPair record_run",
        ".step_watch": "WatchedDecoder Watcher",
    },
)
