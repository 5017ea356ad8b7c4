"""The pytest plugin: the fixture ``assert_lossless``, and options that hold for all its audits of a run.

pytest imports this module in every run, so that nothing else is imported here before the fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

OPTIONS: dict[str, tuple[type, str]] = {
    "trials": (int, "how many trials each audit has"),
    "level": (float, "the probability with which a lossless verifier may be called lossy"),
    "seed": (int, "from which all randomness of an audit comes"),
}
"""Options of an audit that the command line sets, with their types and what they are."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--audit-trials``, ``--audit-level`` and ``--audit-seed``."""
    group = parser.getgroup("veridraft", "veridraft: audits of verifiers, by the fixture assert_lossless")
    for name, (kind, text) in OPTIONS.items():
        group.addoption(f"--audit-{name}", type=kind, default=None, help=f"{text}, whatever the test says")


@pytest.fixture(scope="session")
def assert_lossless(pytestconfig: pytest.Config) -> Asserting:
    """Fail unless an audit of a verifier finds no defect: ``assert_lossless(verifier, form="chain", **options)``.

    The options are those of ``veridraft.simulate.audit``; what the command line says of them stands above the test's.
    The audit comes back.
    """
    said = {name: pytestconfig.getoption(f"audit_{name}") for name in OPTIONS}
    return Asserting({name: value for name, value in said.items() if value is not None})


class Asserting:
    """``veridraft.simulate.assert_lossless`` with some options said beforehand."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said

    def __call__(self, verifier: Callable[..., Any], form: Any = "chain", **options: Any) -> Any:
        """The audit in which no defect was found; ``AssertionError`` for every other verdict."""
        __tracebackhide__ = True
        from veridraft.simulate.auditing.auditor import assert_lossless as check

        return check(verifier, form, **options | self.said)

    def __repr__(self) -> str:
        return " ".join(["<assert_lossless", *(f"--audit-{name} {value}" for name, value in self.said.items())]) + ">"
