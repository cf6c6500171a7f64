"""Draws docs/performance.svg of recorded results: plot.py benchmarks/results/FILE.json…

For each scenario that was measured with peers, the seconds of wall and of processor time, on a logarithmic scale.
"""

from __future__ import annotations

import json
import math
import sys
from html import escape
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parents[1] / "docs" / "performance.svg"
WIDTH, LEFT, RIGHT, BAR = 760, 150, 90, 9
COLOURS = {"wall": "#2f6fb2", "cpu": "#e08a2e"}


def scenarios(files: list[str]) -> list[dict[str, Any]]:
    """All that were measured with a peer; of those measured twice the later one."""
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        for each in json.loads(Path(file).read_text())["scenarios"]:
            if len(each["contenders"]) > 2:
                found[each["name"]] = each
    return list(found.values())


def drawn(chosen: list[dict[str, Any]]) -> str:
    values = [row[kind] for each in chosen for row in each["contenders"].values() for kind in COLOURS]
    low, high = math.floor(math.log10(max(0.05, min(values)))), math.ceil(math.log10(max(values)))
    room = WIDTH - LEFT - RIGHT

    def x(seconds: float) -> float:
        return LEFT + room * max(0.0, math.log10(max(seconds, 10.0**low)) - low) / (high - low)

    parts, y = [], 34
    for each in chosen:
        parts.append(f'<text x="10" y="{y}" class="title">{escape(each["name"])}</text>')
        y += 10
        rows = sorted(each["contenders"].items(), key=lambda row: row[1]["wall"])
        for name, row in rows:
            note = " (not whole)" if row["problem"] else ""
            parts.append(f'<text x="{LEFT - 8}" y="{y + BAR + 3}" class="name">{escape(name)}</text>')
            for kind, colour in COLOURS.items():
                end = x(row[kind])
                parts.append(f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{BAR}" fill="{colour}"/>')
                parts.append(
                    f'<text x="{end + 4:.1f}" y="{y + BAR - 1}" class="value">{row[kind]:g} s{note}</text>'
                )
                y += BAR + 1
            y += 6
        y += 22
    ticks = []
    for power in range(low, high + 1):
        at = x(10**power)
        ticks.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="40" y2="{y - 24}" class="tick"/>')
    words = {"wall": "wall", "cpu": "processor"}
    legend = "".join(
        f'<rect x="{WIDTH - 190 + 90 * n}" y="8" width="{BAR}" height="{BAR}" fill="{colour}"/>'
        f'<text x="{WIDTH - 176 + 90 * n}" y="17" class="value">{words[kind]}</text>'
        for n, (kind, colour) in enumerate(COLOURS.items())
    )
    style = (
        "text{font-family:sans-serif;fill:#333}.title{font-size:12px;font-weight:bold}"
        ".name{font-size:11px;text-anchor:end}.value{font-size:9px}.tick{stroke:#ddd}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">'
    body = "\n".join([*ticks, legend, *parts])
    return f'{head}\n<style>{style}</style>\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'


if __name__ == "__main__":
    OUT.write_text(drawn(scenarios(sys.argv[1:])))
    print(OUT.name)
