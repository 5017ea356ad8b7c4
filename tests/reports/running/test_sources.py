"""The digest of what a result comes from: every module that is imported on the way, and no other."""

from __future__ import annotations

import pytest

import veridraft
from veridraft.reports.running.sources import import_closure, source_digest


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A small package beside the real ones: two rooms, a face, a late import, a module that nobody needs."""
    files = {
        "__init__.py": "",
        "study.py": "from .low import needed\nfrom veridraft.attic.high import deep\n",
        "low/__init__.py": "from .one import needed\nfrom .two import other\n",
        "low/one.py": "needed = 1\n",
        "low/two.py": "other = 2\n",
        "high.py": "def deep():\n    from .low import two as second\n    return second\n",
        "alone.py": "import veridraft.attic.high\n",
    }
    for name, text in files.items():
        path = tmp_path / "attic" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(veridraft, "__path__", [*veridraft.__path__, str(tmp_path)])
    return tmp_path / "attic"


def closure(name):
    return {module.removeprefix("veridraft.attic.") for module in import_closure(f"veridraft.attic.{name}")}


def test_the_closure_follows_relative_absolute_and_late_imports_and_looks_through_faces(house):
    assert closure("study") == {"study", "low.one", "high", "low.two"}
    assert closure("low.one") == {"low.one"}
    assert closure("alone") == {"alone", "high", "low.two"}


@pytest.mark.parametrize(
    ("changed", "seen"), [("low/one.py", True), ("low/two.py", True), ("study.py", True), ("alone.py", False)]
)
def test_the_digest_changes_with_every_file_on_the_way_and_with_no_other(house, changed, seen):
    before = source_digest("veridraft.attic.study")
    (house / changed).write_text((house / changed).read_text() + "more = 3\n")
    assert (source_digest("veridraft.attic.study") != before) is seen


def test_the_digest_of_an_optimum_does_not_know_the_verifiers():
    modules = import_closure("veridraft.theory.bounds.tree")
    assert "veridraft.theory.rows.distributions" in modules
    assert not any(name.startswith("veridraft.theory.verifiers") for name in modules)


def test_a_module_without_a_file_is_refused():
    with pytest.raises(ValueError, match=r"modules: 'veridraft\.theory\.nothing' has no source file"):
        source_digest("veridraft.theory.nothing")
