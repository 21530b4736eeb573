"""Made-up KPI logs: cells of two kinds, whose load an hour ahead follows the present one or turns it round."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PERIOD_S = 900


def kpi_rows(periods: int = 60, cells: int = 4, rows: int = 24, seed: int = 0, delay: int = 4):
    """Dictionaries of rows in our names, in order of time; cells of even number persist, odd ones turn their level."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=(periods, cells))
    turn = np.where(np.arange(cells) % 2, -1.0, 1.0)
    for t in range(delay, periods):
        level[t] = 0.9 * turn * level[t - delay] + 0.44 * rng.normal(size=cells)
    found = []
    for t in range(periods):
        for k in range(rows):
            for i in range(cells):
                found.append(
                    {
                        "t_s": PERIOD_S * t + k * PERIOD_S // rows,
                        "flow_id": f"f{i}",
                        "cell_id": f"c{i}",
                        "load": round(float(1 / (1 + np.exp(-level[t, i]))), 4),
                        "latency_ms": round(float(np.exp(2 + 0.3 * level[t, i] + 0.2 * rng.normal())), 4),
                        "jitter_ms": round(float(np.exp(0.3 * level[t, i] + 0.3 * rng.normal())), 4),
                        "rsrp_dbm": round(float(-90 + rng.normal()), 2),
                        "speed_kmh": round(float(30 + rng.normal()), 2),
                    }
                )
    return found


def write_csv(path: Path, rows) -> Path:
    """The rows as a CSV file, whose columns are those of the first."""
    lines = [",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
