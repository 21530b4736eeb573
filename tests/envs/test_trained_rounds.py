"""Training as CeflOrchestration decides: samples are moved, chance is the trace's, rounds by hand."""

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from rangym.envs.cefl_orchestration import training
from rangym.envs.cefl_orchestration.codings import encode
from rangym.envs.cefl_orchestration.samples import moved
from rangym.envs.cefl_orchestration.training import TrainedRounds
from rangym.envs.core import Trace
from rangym.envs.learning.datasets import load_once

ID = "rangym:rangym/CeflOrchestration-v0"


def make(scenario="tiny", action="compact", overrides=None, **settings):
    return TrainedRounds(gym.make(ID, scenario=scenario, action=action, **(overrides or {})), **settings)


def native(env, **settings):
    """The native action of a decision: everything kept, full batches, one step, unless ``settings`` say otherwise."""
    system = env.unwrapped.system
    p, net = system.params, system.network
    decision = {
        "aggregator": np.int64(0),
        "ue_to_bs": np.zeros(p.num_ues, np.int64),
        "bs_to_ue": np.zeros(p.num_ues, np.int64),
        "offload_share": np.zeros((p.num_ues, p.num_bss)),
        "forward_share": np.full((p.num_bss, p.num_dcs), 1 / p.num_dcs),
        "clock_hz": net.max_clock_hz,
        "points_per_s": net.federated.machine_points_per_s,
        **{f"{unit}_iterations": np.ones(n) for unit, n in (("ue", p.num_ues), ("dc", p.num_dcs))},
        **{f"{unit}_minibatch": np.ones(n) for unit, n in (("ue", p.num_ues), ("dc", p.num_dcs))},
    }
    return encode(p, net, decision | settings)


def random_episode(env, trace=None, seed=0):
    """Metrics and model after each round of an episode of random actions."""
    env.reset(seed=seed, options=None if trace is None else {"trace": trace})
    rng, space = np.random.default_rng(1), env.action_space
    rounds, ended = [], False
    while not ended:
        action = rng.uniform(space.low, space.high).astype(space.dtype)
        _, reward, terminated, truncated, info = env.step(action)
        rounds.append((reward, info["metrics"], info["terms"], env.model.copy()))
        ended = terminated or truncated
    return rounds


shares = st.floats(0, 1, allow_nan=False)


@given(st.data())
def test_offloaded_samples_are_moved_none_lost_or_doubled(data):
    ues, bss, dcs = (data.draw(st.integers(1, 4)) for _ in range(3))
    sizes = np.array(data.draw(st.lists(st.integers(1, 30), min_size=ues, max_size=ues)))
    raw = np.array(data.draw(st.lists(shares, min_size=ues * bss, max_size=ues * bss))).reshape(ues, bss)
    offload = raw / np.maximum(1.0, raw.sum(axis=1, keepdims=True))
    raw = np.array(data.draw(st.lists(shares, min_size=bss * dcs, max_size=bss * dcs))).reshape(bss, dcs) + 1e-9
    forward = raw / raw.sum(axis=1, keepdims=True)
    samples = np.arange(sizes.sum())  # all different, so that a sample can be followed
    owner = np.repeat(np.arange(ues), sizes)
    held = moved(samples, sizes, offload, forward)
    assert held.shape[0] == ues + dcs
    there = held[held >= 0]
    assert sorted(there) == samples.tolist()
    kept = np.array([(held[n] >= 0).sum() for n in range(ues)])
    for n in range(ues):
        assert (owner[held[n][held[n] >= 0]] == n).all()
    # What a UE keeps, and what a DC gets, is off its share by less than one sample a UE and pair.
    assert (np.abs(kept - (1 - offload.sum(axis=1)) * sizes) < 1 + 1e-6).all()
    got = (held[ues:] >= 0).sum(axis=1)
    assert (np.abs(got - (offload.T @ sizes) @ forward) < ues * bss + 1e-6).all()
    # Padding stands at the end only.
    assert (np.diff((held >= 0).astype(int), axis=1) <= 0).all()


def test_everything_offloaded_leaves_nothing_behind():
    samples = np.array([5, 6, 7, 8])
    held = moved(samples, np.array([3, 1]), np.array([[1.0], [1.0]]), np.array([[0.0, 1.0]]))
    assert held.tolist() == [[-1] * 4, [-1] * 4, [-1] * 4, [5, 6, 7, 8]]


@pytest.mark.parametrize("aggregation", ["normalised", "fedavg"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_one_full_step_is_a_step_on_all_samples_wherever_they_are(aggregation, share):
    """With gamma = 1 and m = 1 both averages are one gradient step on the pooled samples, however they are moved."""
    env = make(action="native", aggregation=aggregation, learning_rate=0.3, proximal=0.0)
    env.reset(seed=4)
    start = env.model.astype(np.float64)
    p = env.unwrapped.system.params
    env.step(native(env, offload_share=np.full((p.num_ues, p.num_bss), share / p.num_bss)))
    data = load_once("digits", None)
    samples, _ = env._drawn(1, env._rng(1, 2))
    x, y = data.x_train[samples].astype(np.float64), data.y_train[samples]
    gradient = env.network.gradients(start[None], x[None], y[None])[0]
    np.testing.assert_allclose(env.model, start - 0.3 * gradient, atol=2e-6)


@pytest.mark.parametrize("scenario", ["tiny", "small_fixed"])
def test_a_round_of_the_normalised_average_one_by_one(scenario):
    """(11) with d_i and ||a_i||_1 summed up step by step, full batches, different counts of steps."""
    rate, mu = 0.2, 0.4
    env = make(scenario, "native", learning_rate=rate, proximal=mu)
    env.reset(seed=1)
    p = env.unwrapped.system.params
    dpus = p.num_ues + p.num_dcs
    steps = 1 + np.arange(dpus) % 3
    offload = np.full((p.num_ues, p.num_bss), 0.5 / p.num_bss)
    start = env.model.astype(np.float64)
    env.step(native(env, offload_share=offload, ue_iterations=steps[: p.num_ues], dc_iterations=steps[p.num_ues :]))
    data = load_once("digits", None)
    samples, sizes = env._drawn(1, env._rng(1, 2))
    held = moved(samples, sizes, offload, np.full((p.num_bss, p.num_dcs), 1 / p.num_dcs))
    total, change, scale = len(samples), 0.0, 0.0
    for i in range(dpus):
        own = held[i][held[i] >= 0]
        x, y = data.x_train[own].astype(np.float64)[None], data.y_train[own][None]
        model, norm = start.copy(), 0.0
        for _ in range(steps[i]):
            model = model - rate * (env.network.gradients(model[None], x, y)[0] + mu * (model - start))
            norm = norm * (1 - rate * mu) + 1.0
        d = (start - model) / (rate * norm)
        change = change + len(own) / total * d
        scale += len(own) / total * norm
    scale = 1.0 if scenario.endswith("fixed") else scale
    np.testing.assert_allclose(env.model, start - scale * rate * change, atol=5e-6)


def test_normalised_is_fedavg_with_equal_counts_and_batches():
    models = []
    for aggregation in ("normalised", "fedavg"):
        env = make("small", "native", aggregation=aggregation, proximal=0.05)
        env.reset(seed=2)
        p = env.unwrapped.system.params
        equal = {f"{unit}_iterations": np.full(n, 4.0) for unit, n in (("ue", p.num_ues), ("dc", p.num_dcs))}
        equal |= {f"{unit}_minibatch": np.full(n, 0.3) for unit, n in (("ue", p.num_ues), ("dc", p.num_dcs))}
        action = native(env, **equal, offload_share=np.full((p.num_ues, p.num_bss), 0.1))
        models.append([])
        for _ in range(10):
            env.step(action)
            models[-1].append(env.model.copy())
    np.testing.assert_allclose(models[0], models[1], atol=1e-6)


def test_with_different_counts_they_differ():
    ends = []
    for aggregation in ("normalised", "fedavg"):
        env = make("small", "native", aggregation=aggregation)
        env.reset(seed=2)
        p = env.unwrapped.system.params
        env.step(native(env, ue_iterations=1.0 + np.arange(p.num_ues) % 6))
        ends.append(env.model.copy())
    assert np.abs(ends[0] - ends[1]).max() > 1e-3


@pytest.mark.parametrize("action", ["native", "compact", "macro", "full"])
def test_a_replayed_trace_trains_the_same_model_bit_for_bit(tmp_path, action):
    env = make(action=action)
    first = random_episode(env, seed=3)
    trace = env.unwrapped.trace
    trace.save(tmp_path / "trace.npz")
    np.random.default_rng(0).random()
    again = random_episode(make(action=action), Trace.load(tmp_path / "trace.npz"), seed=77)
    for (reward, metrics, terms, model), (reward2, metrics2, terms2, model2) in zip(first, again, strict=True):
        assert reward == reward2 and model.tobytes() == model2.tobytes() and terms == terms2
        assert all(np.array_equal(metrics[name], metrics2[name]) for name in metrics)


def test_codings_of_one_decision_train_one_model():
    env, other = make("small"), make("small", "native")
    rng = np.random.default_rng(5)
    env.reset(seed=6)
    other.reset(seed=6)
    for _ in range(3):
        env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
        system = other.unwrapped.system
        other.step(encode(system.params, system.network, env.unwrapped.decision))
        assert env.model.tobytes() == other.model.tobytes()


def test_all_chance_of_a_round_is_that_rounds_key():
    env = make()
    first = random_episode(env)
    trace = env.unwrapped.trace
    keys = trace.slots["minibatch_key"].copy()
    keys[3] += 1
    changed = random_episode(make(), Trace(trace.constants, {**trace.slots, "minibatch_key": keys}))
    same = [np.array_equal(a[3], b[3]) for a, b in zip(first, changed, strict=True)]
    assert same == [True, True, False, False]
    keys[0] += 1
    other = random_episode(make(), Trace(trace.constants, {**trace.slots, "minibatch_key": keys}))
    assert not np.array_equal(first[0][3], other[0][3])


def test_samples_do_not_depend_on_the_decision():
    """The loss before the first round, and so its drift, is the same whatever is decided."""
    drifts = []
    for number in range(3):
        env = make(action="native")
        env.reset(seed=9)
        env.action_space.seed(number)
        drifts.append(env.step(env.action_space.sample())[-1]["metrics"]["drift"])
    assert len(set(map(float, drifts))) == 1 and drifts[0] != 0


@pytest.mark.parametrize("scenario", ["small", "small_gap"])
def test_reward_terms_and_metrics(scenario):
    env = make(scenario, overrides={"switching_weight": 0.3, "horizon": 5})
    plain = gym.make(ID, scenario=scenario, switching_weight=0.3, horizon=5)
    data = load_once("digits", None)
    env.reset(seed=0)
    plain.reset(seed=0)
    env.action_space.seed(0)
    p = env.unwrapped.system.params
    loss = None
    for t in range(1, 6):
        before, action = env.model.copy(), env.action_space.sample()
        observation, reward, *_, info = env.step(action)
        expected, _, *_, inner = plain.step(action)
        assert all(np.array_equal(observation[f], expected[f]) for f in expected)
        samples, sizes = env._drawn(t, env._rng(t, 2))
        points = env.unwrapped.trace.slots["data_points"][t]
        assert sizes.tolist() == [max(1, round(v / 20)) for v in points]
        x, y = data.x_train[samples][None], data.y_train[samples][None]
        metrics, terms = info["metrics"], info["terms"]
        assert metrics["loss"] == pytest.approx(env.network.losses(env.model[None], x, y)[0], rel=1e-6)
        was = env.network.losses(before[None], x, y)[0]
        if loss is not None:
            assert metrics["drift"] == pytest.approx(was - loss, abs=1e-6)
        loss = metrics["loss"]
        right = env.network.logits(env.model[None], data.x_test)[0].argmax(axis=1) == data.y_test
        assert metrics["accuracy"] == right.mean()
        assert terms["learning"] == pytest.approx(-p.learning_weight * loss / 100)
        kept = {k: v for k, v in inner["terms"].items() if not k.startswith("learning")}
        assert {k: v for k, v in terms.items() if k != "learning"} == kept
        assert reward == pytest.approx(sum(terms.values()))
        assert metrics["J"] == pytest.approx(-100 * (reward - terms["switching"]))
        assert inner["metrics"].keys() | {"loss", "accuracy", "drift"} == metrics.keys()


def test_the_samples_follow_the_class_shares():
    env = make("small", points_per_sample=0.5, drift_rate=0.0)
    env.reset(seed=1)
    samples, sizes = env._drawn(1, env._rng(1, 2))
    labels = load_once("digits", None).y_train[samples]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    counts = np.stack([np.bincount(labels[owner == n], minlength=10) for n in range(len(sizes))])
    share = env._shares[1]
    spread = np.sqrt(share * (1 - share) / sizes[:, None])
    assert (np.abs(counts / sizes[:, None] - share) < 5 * spread + 1e-9).all()
    np.testing.assert_array_equal(env._shares[1], env._shares[0])


def test_training_learns_digits():
    env = make("small", "native", overrides={"horizon": 25}, concentration=100.0)
    env.reset(seed=0)
    p = env.unwrapped.system.params
    action = native(env, ue_iterations=np.full(p.num_ues, 5.0), ue_minibatch=np.full(p.num_ues, 0.2))
    accuracy = [float(env.step(action)[-1]["metrics"]["accuracy"]) for _ in range(25)]
    assert accuracy[-1] > 0.85 > 0.7 > accuracy[0]


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
def test_gymnasiums_checker_and_spec():
    env = make()
    check_env(env, skip_render_check=True)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(make(learning_rate=0.25).spec.to_json()))
    while not isinstance(again, TrainedRounds):
        again = again.env
    assert again.settings.learning_rate == 0.25


def test_the_model_cannot_be_written_to_and_needs_a_reset():
    env = make()
    with pytest.raises(RuntimeError, match="before reset"):
        _ = env.model
    env.reset(seed=0)
    with pytest.raises(ValueError, match="read-only"):
        env.model[0] = 1.0


@pytest.mark.filterwarnings("ignore:.*precision lowered")
@pytest.mark.parametrize(
    ("wrapped", "says"),
    [
        (lambda: gym.make("rangym:rangym/NomaAllocation-v0", scenario="tiny"), "a single CeflOrchestration"),
        (lambda: gym.make("CartPole-v1"), "a single CeflOrchestration"),
        (lambda: None, "a single CeflOrchestration environment wanted, got None"),
        (lambda: gym.make_vec(ID, num_envs=2, scenario="tiny"), "a single CeflOrchestration"),
        (lambda: gym.wrappers.RescaleAction(gym.make(ID, scenario="tiny"), 0.0, 1.0), "its own coding of actions"),
        (lambda: make(), "a CeflOrchestration environment without TrainedRounds wanted, got <TrainedRounds"),
        (lambda: gym.wrappers.RecordEpisodeStatistics(make()), "a CeflOrchestration environment without TrainedRounds"),
        (
            lambda: gym.wrappers.RenderCollection(gym.make(ID, scenario="tiny", render_mode="rgb_array")),
            "its own render_mode 'rgb_array' wanted, got 'rgb_array_list' of a wrapper",
        ),
    ],
)
def test_another_environment_or_coding_is_refused(wrapped, says):
    with pytest.raises(TypeError, match=f"env: {says}"):
        TrainedRounds(wrapped())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"aggregation": "fedavgs"}, "aggregation: one of .* got 'fedavgs'; did you mean 'fedavg'"),
        ({"aggregation": "normalized"}, "did you mean 'normalised'"),
        ({"dataset": "cifar"}, "did you mean 'cifar10'"),
        ({"dataset": "mnist"}, "path: the folder with train-images"),
        ({"learning_rat": 0.1}, "unexpected keyword argument 'learning_rat'; did you mean 'learning_rate'"),
        ({"learning_rate": 0.0}, "learning_rate: a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate: a number above 0"),
        ({"proximal": -0.1}, "proximal: a number of at least 0"),
        ({"learning_rate": 0.5, "proximal": 2.0}, "proximal: below 1 / learning_rate = 2 wanted, got 2.0"),
        ({"hidden": (0,)}, "hidden: a tuple"),
        ({"concentration": 0}, "concentration: a number above 0"),
        ({"drift_rate": 1.5}, "drift_rate: a number"),
        ({"points_per_sample": 0}, "points_per_sample: a number above 0"),
    ],
)
def test_wrong_settings(settings, says):
    with pytest.raises((ValueError, TypeError), match=says):
        make(**settings)


def test_a_trace_with_unusable_keys_is_refused():
    env = make()
    env.reset(seed=0)
    trace = env.unwrapped.trace
    for keys in (-trace.slots["minibatch_key"], trace.slots["minibatch_key"].astype(float)):
        with pytest.raises(ValueError, match="'minibatch_key' with integers of at least 0"):
            env.reset(options={"trace": Trace(trace.constants, {**trace.slots, "minibatch_key": keys})})


@pytest.mark.parametrize("scenario", ["small", "small_gap"])
def test_the_picture_shows_what_was_trained(scenario, monkeypatch):
    """The bars of a round add up to its J, with the loss in place of the bound; the line is the accuracy."""
    figures = []
    monkeypatch.setattr(training, "Picture", lambda: lambda draw: figures.append(Figure()) or draw(figures[-1]))
    env = make(scenario, overrides={"render_mode": "rgb_array", "horizon": 5})
    with pytest.raises(RuntimeError, match="before reset"):
        env.render()
    metrics = []
    for seed in (0, 1):  # nothing of the first episode stays
        env.reset(seed=seed)
        env.render()
        assert not figures[-1].axes[-1].lines
        metrics = [env.step(env.action_space.sample())[-1]["metrics"] for _ in range(3)]
    env.render()
    bars = figures[-1].axes[-1]
    stacked = np.array([[np.ptp(bar.vertices[:, 1]) for bar in part.get_paths()] for part in bars.collections])
    assert stacked.shape == (3, 3)
    np.testing.assert_allclose(stacked.sum(axis=0), [m["J"] for m in metrics], rtol=1e-12)
    np.testing.assert_allclose(stacked[0], [20 * m["loss"] for m in metrics], rtol=1e-12)
    (drawn,) = bars.lines
    assert drawn.get_xdata().tolist() == [1, 2, 3] and drawn.get_ydata().tolist() == [m["accuracy"] for m in metrics]
    one = (drawn.get_transform() - bars.transAxes).transform((1, 1))[1]
    assert one == pytest.approx(1.0)  # the top of the axis on the right is an accuracy of 1
    assert bars.texts[0].get_text() == f"accuracy {metrics[-1]['accuracy']:.2f}"
    assert bars.get_title("left").startswith("J as")


def test_pictures_are_made_where_they_are_asked_for():
    env = make()
    env.reset(seed=0)
    assert env.render() is None
    plain = make(overrides={"render_mode": "rgb_array"})
    plain.reset(seed=0)
    plain.step(plain.action_space.sample())
    shown, inner = plain.render(), plain.env.render()
    assert shown.shape == inner.shape and shown.dtype == np.uint8 and not np.array_equal(shown, inner)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_that_diverges_says_so():
    env = make(learning_rate=1e30, proximal=0.0, overrides={"horizon": 20})
    env.reset(seed=0)
    env.action_space.seed(0)
    with pytest.raises(ValueError, match="learning_rate: one at which the training does not diverge"):
        for _ in range(20):
            env.step(env.action_space.sample())


def test_metrics_are_plain_numbers():
    *_, (_, metrics, terms, _) = random_episode(make())
    json.dumps({name: float(value) for name, value in {**metrics, **terms}.items() if np.ndim(value) == 0})
    assert all(isinstance(metrics[name], np.float64) for name in ("loss", "accuracy", "drift", "J"))
