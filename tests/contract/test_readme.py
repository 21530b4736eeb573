"""The README's numbers are those of the committed rows, and its example runs."""

import re
from pathlib import Path

import numpy as np

from rangym.evaluation.identity import options_of
from rangym.evaluation.results import Results
from rangym.evaluation.statistics import mean_interval
from rangym.policies import registry

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_every_cell_of_the_results_table_is_a_mean_of_the_published_rows():
    found = Results.load(ROOT / "evaluation/published/bench.jsonl").comparisons
    comparisons = {(c.env_id.split("/")[1][:-3], c.scenario): c for c in found}
    cells = 0
    for line in README.splitlines():
        environment = re.match(r"\| (\w+) `(\w+)` \|", line)
        if not environment:
            continue
        c = comparisons[environment.groups()]
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
    assert cells == 30


def test_the_examples_run_one_after_the_other(capsys):
    names, printed = {}, []
    for code in re.findall(r"```python\n(.*?)```", README, re.S):
        exec(code, names)
        printed.append(capsys.readouterr().out)
    assert len(printed) == 2
    assert 0.5 < float(printed[0]) < 1.6
    assert "a3:offset_db=6" in printed[1] and "bound:" in printed[1]
