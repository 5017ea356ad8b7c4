"""Audits of texts: tokens that a decoder emitted, each held against the row that it must have been drawn from.

No function is called and no prompt repeated: a log of an engine, or the answers of a server, are enough.  Under a
lossless decoder each token, given what stands before it, is a draw from the target's row there, so bets on the tokens
are fair whatever was asked and whenever one stops.
"""

from .audit import audit_transcripts
from .course import TextCourse
from .files import TranscriptWriter, read_transcripts
from .rows_along import RowsAlong
from .settings import behind_settings, is_settled, sampled_rows
from .transcript import SAMPLING, KnownRow, Transcript
from .verdict import Control, TokenAudit

__all__ = [
    "SAMPLING",
    "Control",
    "KnownRow",
    "RowsAlong",
    "TextCourse",
    "TokenAudit",
    "Transcript",
    "TranscriptWriter",
    "audit_transcripts",
    "behind_settings",
    "is_settled",
    "read_transcripts",
    "sampled_rows",
]
