"""``benchmarks/gpu_check.sh``: a part that fails or hangs stops no other, and what follows uses what came before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_check.sh"

VERIDRAFT = """#!/bin/sh
echo "ran: $*"
case "$*" in
*suites*) exit 3 ;;
*random:8B*) sleep 60 ;;
esac
"""


def test_parts_end_one_by_one_and_all_logs_are_kept(tmp_path):
    for name, text in (("veridraft", VERIDRAFT), ("python", '#!/bin/sh\necho "ran: $*"\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    out = tmp_path / "out put"
    path = f"{tmp_path}:{os.environ['PATH']}"
    settings = {**os.environ, "PATH": path, "SHAPES": "8B:0.3 1B:9", "TARGET": "a folder", "STEPS": "--rules 'a, b'"}
    run = subprocess.run(["bash", SCRIPT, out], env=settings, capture_output=True, text=True, timeout=50, check=False)
    ends = dict(line.split(": ", 1) for line in (out / "summary.txt").read_text().splitlines())
    assert run.returncode == 1 and run.stdout.splitlines() == (out / "summary.txt").read_text().splitlines()
    assert ends.pop("suite").startswith("failed with status 3")
    assert ends.pop("latency-8B") == "stopped after 0.3 s"
    assert list(ends) == ["install", "machine", "head", "latency-1B", "graphs", "share"]
    assert all(end.startswith("done") for end in ends.values())
    results = (out / "results.txt").read_text()
    assert f"--target a folder --draft {out}/head/draft --device cuda --dtype bfloat16 --out {out}/suite" in results
    assert "--mode reduce-overhead --rules a, b" in results
    assert "random:1B" in results and "--policies Iid(4, 3)\n" in results, "the options of a part, by default and given"
