"""The study of engines' samplers: environments, a process for each audit, lines that show a defect, resuming."""

import hashlib
import json
import sys
import tarfile
from textwrap import dedent

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("jinja2")

from veridraft.reports import cli
from veridraft.reports.studies.engines import environments, table
from veridraft.reports.studies.engines.audited import printed
from veridraft.reports.studies.engines.environments import MARKER, Archive, Environment
from veridraft.reports.studies.engines.plan import EnginesPlan
from veridraft.reports.studies.engines.samplers import stand_ins, transformers
from veridraft.reports.studies.engines.samplers.vllm_forward import MIXED, forward_cases, raw_logits
from veridraft.reports.studies.engines.table import ENGINES, LEFT_OUT, Engine
from veridraft.reports.studies.engines.worker import audited_apart

ENGINE = """
    import numpy as np

    def accept(target, draft, tokens, rng, lossy=False):
        emitted = []
        for place, token in enumerate(tokens):
            if lossy or rng.random() * draft[place, token] < target[place, token]:
                emitted.append(int(token))
                continue
            residual = np.maximum(target[place] - draft[place], 0)
            return [*emitted, int(rng.choice(len(residual), p=residual / residual.sum()))]
        return [*emitted, int(rng.choice(target.shape[1], p=target[-1] / target[-1].sum()))]
"""

AUDITS = """
    import os
    from fractions import Fraction
    from functools import partial
    from veridraft.reports.studies.engines.audited import EngineAuditee
    from veridraft.reports.studies.real_audits.audited import ExactCase
    from veridraft.simulate.forms.form import Form

    def built(**options):
        def build():
            import fake_engine
            assert os.environ["FAKE_ENGINE"] == "on"
            return partial(fake_engine.accept, **options), None
        return build

    def exact():
        import numpy as np
        from fake_engine import accept
        target, draft = np.array([[0.5, 0.5]] * 2), np.array([[0.9, 0.1]])
        laws = (Fraction(1, 2), Fraction(1, 2)), (Fraction(9, 10), Fraction(1, 10))
        return ExactCase("Everything is accepted.", ("0", "1"), *laws,
                         lambda rng: accept(target, draft, [int(rng.random() >= 0.9)], rng, lossy=True)[0], 500)

    def wait():
        import time
        time.sleep(60)

    def leave():
        os._exit(3)

    def auditees():
        common = {"package": "fake-engine", "what": "accept", "form": Form.CHAIN, "trials": 1500}
        return (
            EngineAuditee("fake right", settings="", build=built(), **common),
            EngineAuditee("fake lossy", settings="", build=built(lossy=True), exact=exact,
                          lines="import fake_engine\\nprint('accepts', 'all')", **common),
            EngineAuditee("other slow", settings="", build=built(), prepare=wait, **common),
            EngineAuditee("other gone", settings="", build=built(), prepare=leave, **common),
        )
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """An engine in an environment that is there, and one that cannot be installed."""
    place = tmp_path / "environments" / "fake-1.0"
    (place / "fake_engine-1.0.dist-info").mkdir(parents=True)
    metadata = "Metadata-Version: 2.1\nName: fake-engine\nVersion: 1.0"
    (place / "fake_engine-1.0.dist-info" / "METADATA").write_text(metadata)
    (place / "fake_engine.py").write_text(dedent(ENGINE))
    (place / "fake_audits.py").write_text(dedent(AUDITS))
    (place / MARKER).write_text(json.dumps(["fake-engine==1.0"]))
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, "fake_audits", raising=False)
    environment = Environment("fake-1.0", ("fake-engine==1.0",), (), {"FAKE_ENGINE": "on"})
    engine = Engine("fake 1.0", environment, "fake_audits")
    monkeypatch.setattr(table, "ENGINES", (engine,))
    return engine


def test_command_audits_in_a_process_of_its_own_and_goes_on(fake, tmp_path, capsys):
    folders = ["--environments", str(tmp_path / "environments"), "--out", str(tmp_path / "o")]
    arguments = ["study", "run", "engines", *folders]
    assert cli.main([*arguments, "--only", "fake"]) == 0
    head, right, lossy = map(json.loads, (tmp_path / "o" / "engines.jsonl").read_text().splitlines())
    assert head["settings"]["engines"] == {"fake 1.0": ["fake-engine==1.0"]}
    assert right["verdict"] == "no defect found" and right["version"] == "1.0" and right["trials"] > 1000
    assert lossy["verdict"] == "lossy" and lossy["printed"] == "accepts all"
    assert lossy["exact"]["target_excluded"] and not lossy["exact"]["comes_out_excluded"]
    text, page = ((tmp_path / "o" / f"engines.{kind}").read_text() for kind in ("txt", "html"))
    assert "    import fake_engine" in text and "    # accepts all" in text and "<pre>import fake_engine" in page
    lines = (tmp_path / "o" / "engines.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "o" / "engines.jsonl").write_text("".join(lines[:2]))  # killed in the second audit
    capsys.readouterr()
    assert cli.main([*arguments, "--only", "fake"]) == 0
    assert "1 of 2 cells are finished already" in capsys.readouterr().err
    again = (tmp_path / "o" / "engines.jsonl").read_text().splitlines(keepends=True)
    assert again[:2] == lines[:2] and json.loads(again[2])["verdict"] == "lossy"


def test_a_process_that_is_slow_or_gone_is_an_error_that_says_so(fake, tmp_path):
    place = tmp_path / "environments" / "fake-1.0"
    slow = audited_apart("fake_audits", "other slow", 10, fake.environment, place, seconds=2)
    assert slow == {"verdict": "error", "failure": "it was not finished after 2 s"}
    gone = EnginesPlan("gone", 10, tmp_path / "environments").measure("other gone")
    assert gone["verdict"] == "error" and gone["failure"].startswith("the process ended with status 3")
    assert gone["version"] == "1.0" and gone["trials"] == 0


def test_an_engine_that_cannot_be_installed_is_listed_with_the_reason(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    absent = Engine("absent 2", Environment("absent-2", ("fake-engine-that-is-nowhere==2",)), "absent_audits")
    (tmp_path / "environments" / "fake-1.0" / "absent_audits.py").write_text(
        dedent(AUDITS).replace('"fake ', '"absent ').replace('"other ', '"absent ')
    )
    monkeypatch.setattr(table, "ENGINES", (fake, absent))
    settings = EnginesPlan("right", None, tmp_path / "environments").settings()
    assert settings["cells"] == [["fake right"]] and list(settings["not_installed"]) == ["absent 2"]
    assert "cannot install fake-engine-that-is-nowhere==2" in settings["not_installed"]["absent 2"]
    with pytest.raises(ValueError, match=r"leaves no engine that can be installed: .*absent 2"):
        EnginesPlan("absent", None, tmp_path / "environments")
    assert not list((tmp_path / "environments").glob("*absent*"))  # nothing half done


def test_a_plan_without_audits_or_trials_is_refused(fake, tmp_path):
    with pytest.raises(ValueError, match="only 'nobody' leaves no audit of an engine"):
        EnginesPlan("nobody", None, tmp_path)
    with pytest.raises(ValueError, match="trials must be at least 1"):
        EnginesPlan("", 0, tmp_path)


def test_source_archives_are_checked_and_unpacked(tmp_path, monkeypatch):
    inner = tmp_path / "source-1"
    inner.mkdir()
    (inner / "module.py").write_text("x = 1")
    with tarfile.open(tmp_path / "source-1.tar.gz", "w:gz") as tar:
        tar.add(inner, "source-1")
    digest = hashlib.sha256((tmp_path / "source-1.tar.gz").read_bytes()).hexdigest()
    monkeypatch.setattr(environments, "_address", lambda archive: (tmp_path / archive.file).as_uri())
    environment = Environment("source", (), (Archive("source", "source-1.tar.gz", digest),))
    place = environment.prepared(tmp_path / "made")
    assert (place / "module.py").read_text() == "x = 1" and not list(place.glob("*.tar.gz"))
    wrong = Environment("wrong", (), (Archive("source", "source-1.tar.gz", "0" * 64),))
    with pytest.raises(ConnectionError, match="has SHA-256"):
        wrong.prepared(tmp_path / "made")


def test_lines_that_raise_say_so():
    assert printed("print(1)\nraise ValueError('no')") == "1\nValueError: no"


def test_every_audit_has_a_name_of_its_own_and_stands_in_no_folder_of_the_repository():
    keys = [auditee.key for engine in ENGINES for auditee in engine.auditees()]
    assert len(set(keys)) == len(keys) > 20 and not set(keys) & set(LEFT_OUT)
    versions = [package for engine in ENGINES for package in engine.environment.packages]
    assert all("==" in package for package in versions)


def test_stand_ins_are_modules_bases_and_decorators():
    stand_ins.install(("no_such_server",), ("email.no_such_part",))
    try:
        import no_such_server.web as web

        class Handler(web.Base, option=1):
            pass

        assert web.route(len) is len and Handler("x", y=1).anything is not None and web.Kind[int] is web.Kind
        with pytest.raises(ModuleNotFoundError):
            __import__("no_such_server_either")
    finally:
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, stand_ins.StandIns)]


def test_raw_logits_lead_back_to_the_rows_under_every_setting():
    (case,) = forward_cases()
    rows = np.stack([[case.pair.target_row(context) for context in ((), (0,), (1, 2))]] * len(MIXED)).astype(float)
    raw = np.asarray(raw_logits(rows, MIXED)).astype(float)
    for row, given, setting in zip(rows, raw, MIXED, strict=True):
        shares = np.exp(given / setting.temperature)
        order = np.argsort(-shares, axis=-1)
        for place, ranked in enumerate(order):
            share = shares[place] / shares[place].sum()
            if setting.top_k:
                share[ranked[setting.top_k :]] = 0
                share /= share.sum()
            if setting.top_p:
                before = np.cumsum(share[ranked]) - share[ranked]
                share[ranked[before >= setting.top_p]] = 0
            assert np.allclose(share / share.sum(), row[place], atol=1e-6)


@pytest.mark.parametrize(("lines", "said"), [
    (transformers.ARGMAX, "drawn [0.0, 0.0, 1.0] told [0.2, 0.25, 0.55] expected the same"),
    (transformers.PERMUTED, "drawn {'a': 0.9, 'b': 0.1} told {'a': 0.1, 'b': 0.9} expected the same"),
])  # fmt: skip
def test_the_lines_for_transformers_stand_by_themselves(lines, said):
    pytest.importorskip("transformers")
    assert printed(lines) == said and len(lines.splitlines()) < 35
