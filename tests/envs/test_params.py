"""Declared ranges, and who uses a parameter: both are compared with what the environments do."""

import dataclasses
import hashlib
import itertools
import math
import shutil

import numpy as np
import pytest

from rangym.envs.cell_association.drive_logs import import_logs
from rangym.envs.cell_association.params import SMALL_SITES
from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.core import SystemEnv
from rangym.envs.node_placement.system import NodePlacement
from rangym.envs.noma_allocation.system import NomaAllocation
from rangym.envs.params import Range, check, derive, frozen, nearest, ranged, ranges, require

SYSTEMS = (CellAssociation, NodePlacement, NomaAllocation)


def forms(system):
    """Small parameters for every combination of the values that decide whether some other parameter is used."""
    params = system.scenarios["tiny"]
    if system is CellAssociation:
        params = dataclasses.replace(params, num_cells=4, horizon=12, num_ues=3)
    if system is NomaAllocation:
        params = dataclasses.replace(params, num_clusters=2)  # with one cluster all schedules are the same
    declared = ranges(params)
    deciding = sorted({other for r in declared.values() for uses in r.only for other in uses}) or ["power"]
    for values in itertools.product(*(declared[name].words or (None, 1) for name in deciding)):
        decided = dict(zip(deciding, values, strict=True))
        if decided.get("failure_slots") and decided["law"] in ("static", "volatile"):
            continue  # a SINR of at least 10 dB, so no link fails
        if decided.get("law") == "urban":  # its cells stand where they are said to stand
            decided["sites"] = SMALL_SITES[4:0:-1]
        yield dataclasses.replace(params, **decided)


FORMS = [
    pytest.param(system, params, id=f"{system.__name__}-{k}")
    for system in SYSTEMS
    for k, params in enumerate(forms(system))
]
assert {param.values[0] for param in FORMS} == set(SYSTEMS)


@pytest.fixture(scope="module")
def maps(road_logs, road_map, tmp_path_factory):
    """Two radio maps with the same cells."""
    folder = tmp_path_factory.mktemp("maps")
    for day in (0, 2):
        shutil.copy(road_logs / f"drive_{day}.csv", folder)
    other = folder / "other.npz"
    import_logs(folder).save(other)
    return str(road_map), str(other)


def another(params, name, maps):
    """``params`` with another allowed value of one field."""
    declared, value = ranges(params)[name], getattr(params, name)
    if name == "map":
        return dataclasses.replace(params, map=maps[1])
    if name == "sites":
        return dataclasses.replace(params, sites=SMALL_SITES[: params.num_cells])
    if name == "speed_floor_mps":
        return dataclasses.replace(params, speed_floor_mps=20.0)  # one that these UEs feel
    without = [None] if declared.optional else []
    for candidate in [*without, *candidates(declared, value)]:
        if candidate != value and declared.allows(candidate):
            try:
                return dataclasses.replace(params, **{name: candidate})
            except ValueError:  # it does not go with the other fields
                continue
    raise AssertionError(f"no other value of {name}")


def candidates(declared, value):
    if declared.words:
        return declared.words
    if isinstance(value, tuple):
        return [tuple(2 * v + 1 for v in value)]
    if value is None:
        return [1] if declared.kind is int else [1.0]
    if isinstance(value, int):
        return [value + 1, value - 1]
    ends = [e for e in (declared.high, declared.below) if e is not None]
    return [2 * value + 1, *((end + value) / 2 for end in ends), value / 2]


def digest(system, params):
    """Of the spaces, the trace, and an episode's observations, rewards and metrics under fixed random actions."""
    model = system(params)
    env, h, rng = SystemEnv(model), hashlib.sha256(), np.random.default_rng(0)
    h.update(f"{env.observation_space} {env.action_space}".encode())
    observation, _ = env.reset(seed=3)
    parts = [dict(env.trace.constants), dict(env.trace.slots), observation]
    space = env.action_space
    for _ in range(model.horizon):
        action = rng.integers(space.nvec) if hasattr(space, "nvec") else rng.uniform(space.low, space.high)
        observation, reward, *_, info = env.step(action.astype(space.dtype))
        parts += [observation, {"reward": np.array(reward)}, info["terms"], info["metrics"]]
    for part in parts:
        for name in sorted(part):
            h.update(name.encode() + np.asarray(part[name]).tobytes())
    return h.hexdigest()


@pytest.mark.parametrize("system, params", FORMS)
def test_a_parameter_changes_something_exactly_where_it_declares_to_be_used(system, params, maps):
    if getattr(params, "law", None) == "measured":
        params = dataclasses.replace(params, map=maps[0])
    before = digest(system, params)
    for name, declared in ranges(params).items():
        if name == "num_cells" and (params.law == "measured" or params.sites):
            continue  # the map or the sites decide how many there are
        changed = another(params, name, maps)
        used = declared.is_used(params)
        assert used == declared.is_used(changed)
        assert (digest(system, changed) != before) == used, name


@pytest.mark.parametrize("system, params", FORMS)
def test_an_override_that_nothing_uses_is_refused_with_those_that_do(system, params, maps):
    for name, declared in ranges(params).items():
        if name == "num_cells" and params.sites:
            continue  # as above
        value = getattr(another(params, name, maps), name)
        if declared.is_used(params):
            assert getattr(derive({"form": params}, "form", {name: value}), name) == value
            continue
        with pytest.raises(ValueError, match=f"^{name}: used with .* only, got ") as caught:
            derive({"form": params}, "form", {name: value})
        for uses in declared.only:
            for other, values in uses.items():
                assert f"{other} {' or '.join(map(repr, values))}" in str(caught.value)
                assert f"{other}={getattr(params, other)!r}" in str(caught.value)


def test_what_a_scenario_carries_is_not_refused():
    params = derive(CellAssociation.scenarios, "small", {"law": "static"})
    assert params.shadowing_db == 8.0 and params.sites
    assert derive(CellAssociation.scenarios, "small", {"law": "static", "num_cells": 4}).num_cells == 4
    with pytest.raises(ValueError, match="^shadowing_db: used with law 'mobility' only, got law='static'$"):
        derive(CellAssociation.scenarios, "static", {"shadowing_db": 99})
    with pytest.raises(ValueError, match="^jitter_m: used with law 'drift' only, got law='uniform'$"):
        derive(NodePlacement.scenarios, "paper", {"jitter_m": 0.1})


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_parameter_declares_its_range_and_the_scenarios_are_inside(system):
    for name, params in system.scenarios.items():
        assert set(ranges(params)) == {f.name for f in dataclasses.fields(params)}, name
        check(params)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixed:
    """One field of every kind."""

    count: int = ranged(2, low=1, high=9)
    share: float = ranged(0.5, above=0, below=1)
    word: str = ranged("a", words=("a", "bc"))
    flag: bool = ranged(False)
    name: str | None = ranged(None, kind=str, optional=True)
    pair: tuple[float, float] = ranged((0.0, 1.0), low=0, length=2, ascending=True)
    rows: tuple[tuple[float, ...], ...] = ranged((), kind=tuple, length=0)
    free: object = None

    def __post_init__(self):
        check(self)


@pytest.mark.parametrize(
    "given",
    [
        {"count": 9},
        {"count": np.int64(3)},
        {"share": np.float32(0.25)},
        {"flag": True},
        {"name": "x"},
        {"pair": (1, 1)},
        {"rows": ((1.0, 2.0), ())},
        {"free": []},
    ],
)
def test_values_inside_pass_untouched(given):
    made = Mixed(**given)
    for name, value in given.items():
        assert getattr(made, name) is value


@pytest.mark.parametrize(
    "given, message",
    [
        ({"count": 0}, "count: an integer of at least 1 and of at most 9 wanted, got 0"),
        ({"count": True}, "count: an integer .* got True"),
        ({"count": 2.0}, "count: an integer .* got 2.0"),
        ({"share": 1}, "share: a number above 0 and below 1 wanted, got 1"),
        ({"share": math.nan}, "share: .* got nan"),
        ({"share": 10**400}, "share: a number above 0"),
        ({"share": "0.5"}, "share: .* got '0.5'"),
        ({"word": "b"}, r"word: one of \['a', 'bc'\] wanted, got 'b'; did you mean 'bc'\?"),
        ({"word": ["a"]}, r"word: one of .* got \['a'\]"),
        ({"flag": 1}, "flag: True or False wanted, got 1"),
        ({"name": 3}, "name: None or a text wanted, got 3"),
        ({"pair": (1.0,)}, r"pair: a tuple of 2 values, ascending, each a number of at least 0 wanted, got \(1.0,\)"),
        ({"pair": (2.0, 1.0)}, "pair: .* ascending"),
        ({"pair": [0.0, 1.0]}, "pair: a tuple"),
        ({"rows": (1.0,)}, "rows: a tuple of values, each a tuple wanted"),
    ],
)
def test_values_outside_are_refused_with_field_range_and_value(given, message):
    with pytest.raises(ValueError, match=message):
        Mixed(**given)


def test_names_and_values_of_overrides():
    scenarios = {"plain": Mixed()}
    assert derive(scenarios, "plain", {"pair": [0, np.float64(2.0)], "rows": np.eye(2)}).rows == ((1, 0), (0, 1))
    with pytest.raises(TypeError, match="unexpected keyword argument 'cuont'; did you mean 'count'"):
        derive(scenarios, "plain", {"cuont": 1})
    with pytest.raises(ValueError, match=r"scenario: one of \['plain'\] wanted, got 'plein'; did you mean 'plain'"):
        derive(scenarios, "plein", {})
    assert frozen([1, [np.int64(2), np.arange(2)]]) == (1, (2, (0, 1)))
    assert nearest("zzz", ["abc"]) == ""
    with pytest.raises(ValueError, match="a: more wanted, got 1"):
        require(False, "a", "more", 1)


def test_conditions_of_use():
    both = Range(only=({"law": ("a", "b"), "mode": ("m",)}, {"law": ("c",)}))
    assert both.usage() == "law 'a' or 'b' and mode 'm', or law 'c'"
    for law, mode, used in (("a", "m", True), ("a", "n", False), ("c", "n", True), ("d", "m", False)):
        assert both.is_used(type("Params", (), {"law": law, "mode": mode})) is used


def test_an_error_about_another_field_says_what_was_given():
    wanted = r"^deadline_s: more than 0\.8 s.* got 0\.8 \(with cycles_per_sample=35200000\.0\)$"
    with pytest.raises(ValueError, match=wanted):
        derive(NomaAllocation.scenarios, "tiny", {"cycles_per_sample": 3.52e7})
    with pytest.raises(ValueError, match=r"^radius_m: at least [^()]*$"):
        derive(NomaAllocation.scenarios, "tiny", {"radius_m": 0.1})


def test_a_name_within_another_is_another_field():
    @dataclasses.dataclass(frozen=True)
    class Params:
        cells: int = 2
        num_cells: int = 2

        def __post_init__(self):
            require(self.num_cells > self.cells - 1, "num_cells", "more", self.num_cells)

    with pytest.raises(ValueError, match=r"^num_cells: more wanted, got 2 \(with cells=3\)$"):
        derive({"plain": Params()}, "plain", {"cells": 3})
