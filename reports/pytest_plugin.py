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
def assert_lossless(pytestconfig: pytest.Config) -> Callable[..., Any]:
    """Fail unless an audit of a verifier finds no defect: ``assert_lossless(verifier, form="chain", **options)``.

    The options are those of ``veridraft.simulate.audit``; what the command line says of them stands above the test's.
    The audit comes back.
    """
    from veridraft.simulate import assert_lossless as check

    said = {name: pytestconfig.getoption(f"audit_{name}") for name in OPTIONS}
    given = {name: value for name, value in said.items() if value is not None}

    def asserted(verifier: Callable[..., Any], form: Any = "chain", **options: Any) -> Any:
        __tracebackhide__ = True
        return check(verifier, form, **options | given)

    return asserted
