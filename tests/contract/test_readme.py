"""README's numbers are those of the committed rows and of the environments."""

import re
import tomllib
from pathlib import Path

import gymnasium as gym
import numpy as np

import rangym
from rangym.envs.registration import OURS
from rangym.evaluation.identity import options_of
from rangym.evaluation.results import Results
from rangym.evaluation.statistics import mean_interval
from rangym.policies import registry

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_every_cell_of_the_results_table_is_a_mean_of_the_published_rows():
    found = Results.load(ROOT / "evaluation/published/bench.jsonl").comparisons
    comparisons = {(c.env_id.split("/")[1][:-3], c.scenario, _given(c.overrides)): c for c in found}
    cells = 0
    for line in README.splitlines():
        environment = re.match(r"\| (\w+) `(\w+)`(?:, `(.+)`)? \|", line)
        if not environment:
            continue
        c = comparisons[environment.groups("")]
        for policy, value, half in re.findall(r"`(\w+)` (-?[\d.]+) ± ([\d.]+)", line):
            word = f"{policy}:tuned" if c.scenario in registry.tuned(policy) else policy  # as the benchmark asks
            options, _ = options_of(registry.make(word, scenario=c.scenario))
            (row,) = [r for r in c.rows if (c.first(r)["policy"], c.first(r)["options"]) == (policy, options)]
            found = mean_interval(c.rewards(row))
            np.testing.assert_allclose([found.value, found.half_width], [float(value), float(half)], atol=5.01e-4)
            cells += 1
        bound = re.search(r"\| (-?[\d.]+), (certified[\w ,]*) \|$", line)
        assert bound and c.bound_kind == "certified"
        np.testing.assert_allclose(c.bound().mean(), float(bound[1]), atol=5.01e-4)
    assert cells == 45


def _given(overrides) -> str:
    return ", ".join(f"{name}={value}" for name, value in overrides.items())


def test_the_table_of_environments_has_their_spaces():
    """The sizes of `small` as `gym.make` gives them."""
    pattern = (
        r"^\| \[(\w+)\]\((envs/\w+/system.py)\) \|[^|]*"
        r"\| (\d+) fields, (\d+) numbers \| `([^`]+)` \| ([^|]+) \|$"
    )
    rows = re.findall(pattern, README, re.M)
    assert [name for name, *_ in rows] == [name for _, name in OURS.values()]
    assert re.findall(r"docs/pictures/(\w+).gif", README) == [folder for folder, _ in OURS.values()]
    for (name, file, fields, numbers, action, masks), (folder, _) in zip(rows, OURS.values(), strict=True):
        assert file == f"envs/{folder}/system.py" and (ROOT / file).exists()
        env = gym.make(f"rangym/{name}-v0", scenario="small")
        spaces = env.observation_space.spaces.values()
        assert (int(fields), int(numbers)) == (len(spaces), sum(int(np.prod(space.shape)) for space in spaces))
        assert action == _written(env.action_space)
        assert env.has_wrapper_attr("action_masks") == (masks == "yes")
        if masks == "in `native`":
            assert gym.make(f"rangym/{name}-v0", action="native").has_wrapper_attr("action_masks")


def _written(space) -> str:
    """`MultiDiscrete([6] * 10)` for ten times six, or `Box(-1, 1, (4, 2))`."""
    if isinstance(space, gym.spaces.Box):
        return f"Box({space.low.min():g}, {space.high.max():g}, {space.shape})"
    (choices,) = set(space.nvec.tolist())
    return f"MultiDiscrete([{choices}] * {len(space.nvec)})"


def test_the_versions_of_command_1_are_those_of_the_published_rows():
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
    pinned = dict(pin.split("==") for pin in pins if "==" in pin)
    rows = Results.load(ROOT / "evaluation/published/bench.jsonl").episodes
    for name in ("numpy", "scipy", "numba", "gymnasium"):
        assert {row["versions"][name] for row in rows} == {pinned[name]}
    assert not any("torch" in pin for pin in pins)


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.+)$", text, re.M)[1] == rangym.__version__ and "rangym contributors" in text
