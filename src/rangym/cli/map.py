"""``rangym map``: the files behind the scenarios that do not make up their traces."""

from __future__ import annotations

DESCRIPTION = "Make the files behind scenarios such as `measured` and `imported`."
EXAMPLE = "  rangym map import drives.zip --out map.npz\n  rangym map raytrace munich --rays 4e6 --out city.npz"
ACTIONS = {
    "import": ("rangym.cli.map_import", "from logs: a radio map, or days of KPIs"),
    "raytrace": ("rangym.cli.map_raytrace", "from a city's scene, by ray tracing: a radio map"),
}
