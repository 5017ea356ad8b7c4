"""What the explorer costs: ``python benchmarks/bench_explore.py``.

The page of ``veridraft explore`` as it is by default: seconds to compute it, its size, and in Chromium the time from
opening it to its first picture, and that of a moved slider (medians).
"""

from __future__ import annotations

import html
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from browser import look

OPENED = 5
PROBE = """<!doctype html><body><iframe id="view" src="explore.html" style="width:1300px;height:900px"></iframe><script>
addEventListener("load", () => {
  const inner = document.getElementById("view").contentWindow, slider = inner.document.getElementById("acceptance");
  const took = [];
  for (let place = 0; place <= Number(slider.max); place += 1) {
    const start = inner.performance.now();
    slider.value = place;
    slider.dispatchEvent(new inner.Event("input", { bubbles: true }));
    took.push(inner.performance.now() - start);
  }
  const found = { drawn: Number(inner.document.documentElement.dataset.drawn), took };
  document.body.dataset.found = JSON.stringify(found);
});
</script>"""


def opened(frame: Path) -> dict[str, float]:
    """Milliseconds to the first picture, and of a slider's moves, of one fresh browser."""
    said = html.unescape(re.search(r'data-found="([^"]*)"', look(frame, "--dump-dom")[0])[1])
    return {name: median(value) if isinstance(value, list) else value for name, value in json.loads(said).items()}


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        page, frame, start = Path(folder, "explore.html"), Path(folder, "frame.html"), perf_counter()
        subprocess.run([sys.executable, "-m", "veridraft", "explore", "--quiet", "--out", page], check=True, stdout=-3)
        wall, spent = perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        frame.write_text(PROBE)
        times = [opened(frame) for _ in range(OPENED)]
        size = page.stat().st_size
    print(f"Python {sys.version.split()[0]}, Chromium, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    print(f"computing the page      {spent.ru_utime + spent.ru_stime:8.1f} s of CPU time, {wall:.1f} s")
    print(f"size                    {size / 1000:8.0f} kB")
    print(f"to the first picture    {median(one['drawn'] for one in times):8.0f} ms, median of {OPENED} browsers")
    print(f"a slider's move         {median(one['took'] for one in times):8.1f} ms")


if __name__ == "__main__":
    main()
