"""The shipped predictors of QosClustering, their features, heads and files."""

import dataclasses
import hashlib
import json
import math

import numpy as np
import pytest

from rangym.envs.learning.heads import HeadStatistics, losses, members, ridge_heads
from rangym.envs.qos_clustering import calibration
from rangym.envs.qos_clustering.days import history_day
from rangym.envs.qos_clustering.predictor import FOLDER, SHIPPED, Base, inputs_of, load

RAW = {"small": 55, "paper": 129}
"""Raw features of each: hidden ones, the inputs where they skip, and the bias."""


@pytest.fixture(scope="module")
def day():
    return history_day(dataclasses.replace(calibration.HISTORY, periods=24), 300)


def relu(x):
    return np.where(x > 0, x, 0.0)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_predictors_are_small_whole_and_say_how_they_were_made(name):
    predictor = load(name)
    path = FOLDER / f"{name}.npz"
    assert path.stat().st_size < 1_000_000
    assert predictor.sha256 == json.loads(path.with_suffix(".json").read_text())["sha256"]
    assert predictor.label_delay == 4 and predictor.num_features == 33
    widths = [weight.shape for weight, _ in predictor.base.layers]
    assert (
        widths
        == {
            "small": [(22, 64), (64, 64), (64, 32)],
            "paper": [(22, 256), (256, 256), (256, 128)],
        }[name]
    )
    assert len(predictor.head) == RAW[name]
    assert sorted(predictor.libraries) == [2, 4, 10]
    curve = predictor.config["curve"]
    assert len(curve) == predictor.config["recipe"]["epochs"] and curve[-1]["training"] < curve[0]["training"]
    assert predictor.config["commands"] == [f"rangym pretrain {name} --out predictors/{name} --quiet"]


@pytest.mark.parametrize("name", SHIPPED)
def test_features_are_the_networks_last_layer_whitened_and_a_bias(name, day):
    predictor = load(name)
    inputs = inputs_of(day)[3, 5]  # 16 rows
    assert inputs.shape == (16, 22)
    base = predictor.base
    x = scaled = (inputs.astype(np.float64) - base.input_mean) / base.input_scale
    for weight, bias in base.layers:
        x = relu(x @ weight + bias)
    raw = np.concatenate([x, scaled] if name == "small" else [x], axis=1)
    assert base.raw_features(inputs) == pytest.approx(np.concatenate([raw, np.ones((16, 1))], axis=1), abs=1e-4)
    features = predictor.features(inputs)
    assert features.dtype == np.float32
    assert features[:, :-1] == pytest.approx(raw @ predictor.whitening, abs=2e-3)
    assert (features[:, -1] == 1).all()


def test_features_do_not_depend_on_the_shape_of_the_batch(day):
    predictor = load("small")
    inputs = inputs_of(day)
    whole = predictor.features(inputs)
    assert whole.shape == (24, 12, 16, 33)
    assert whole[7, 2] == pytest.approx(predictor.features(inputs[7, 2]), abs=1e-4)


def test_whitened_features_of_pretraining_days_have_the_unit_second_moment():
    predictor = load("small")
    day = history_day(calibration.HISTORY, calibration.PRETRAINING_DAYS[0])
    phi = predictor.features(inputs_of(day)).reshape(-1, 33)[:, :-1].astype(np.float64)
    moment = phi.T @ phi / len(phi)  # one day of the four
    assert np.diag(moment).mean() == pytest.approx(1.0, abs=0.15)
    assert np.abs(moment - np.eye(32)).mean() < 0.1


def test_whitener_gives_unit_uncorrelated_directions_strongest_first():
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(5000, 6)) @ rng.normal(size=(6, 6)) + 2.0
    turned = raw @ calibration.whitener(raw, 4)
    assert turned.T @ turned / len(raw) == pytest.approx(np.eye(4), abs=1e-3)
    energy = np.linalg.eigvalsh(raw.T @ raw / len(raw))[::-1]
    kept = 1 / (calibration.whitener(raw, 6).astype(np.float64) ** 2).sum(axis=0)
    assert kept == pytest.approx(energy, rel=1e-3)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_global_head_says_what_the_network_says(name, day):
    """Least squares on 32 of its directions: little of the prediction is lost."""
    predictor = load(name)
    inputs = inputs_of(day)
    network, head = predictor.predict(inputs), predictor.features(inputs) @ predictor.theta0
    assert ((network - head) ** 2).mean() < 0.07 * network.var()


def test_the_predictor_beats_the_mean_and_persistence_an_hour_ahead():
    predictor = load("small")
    errors = []
    for number in (310, 311, 312):
        day = history_day(calibration.HISTORY, number)
        code = predictor.scaled_code(day.mean, day.covariance)
        predicted = predictor.predict(inputs_of(day)[:-4])
        errors.append(
            [((x - code[4:]) ** 2).mean() for x in (predicted.mean(axis=2), code[:-4], code.mean(axis=(0, 1)))]
        )
    ours, persistence, mean = np.mean(errors, axis=0)
    assert ours < persistence and ours < mean


def test_codes_come_back_as_gaussians(day):
    predictor = load("small")
    mean, covariance = predictor.gaussian(predictor.scaled_code(day.mean, day.covariance))
    assert mean == pytest.approx(day.mean) and covariance == pytest.approx(day.covariance)


@pytest.fixture(scope="module")
def library_days():
    """Mean statistics (384 cell-days) of the days behind the small predictor's libraries, and each one's group."""
    days = [history_day(calibration.UNIFORM_GROUPS, n) for n in calibration.LIBRARY_DAYS]
    assert all((d.group_weight == d.group_weight[0]).all() for d in days)
    means = [calibration.pairs(load("small"), d).mean() for d in days]
    parts = (np.concatenate([getattr(m, name) for m in means]) for name in ("gram", "cross", "power"))
    return HeadStatistics(*parts), np.concatenate([d.group_weight[0].argmax(axis=1) for d in days])


def test_a_library_is_better_than_the_global_head_on_the_days_it_was_made_from(library_days):
    predictor, (statistics, group) = load("small"), library_days
    assert np.bincount(group).min() >= 72  # of 384 cell-days
    table = losses(statistics, np.concatenate([predictor.theta0[None], predictor.library(4).heads]))
    assert table[:, 1:].min(axis=1).mean() < 0.8 * table[:, 0].mean()
    right = [table[group == g, 1:].mean(axis=0).argmin() for g in range(4)]
    assert predictor.library(4).head_of_group.tolist() == right
    assert sorted(right) == [0, 1, 2, 3]  # every group has a head of its own
    two, ten = predictor.library(2).heads, predictor.library(10).heads
    assert two.shape == (2, 33, 9) and ten.shape == (10, 33, 9)


def test_a_library_without_labels_is_as_good_as_heads_fitted_to_the_hidden_groups(library_days):
    predictor, (statistics, group) = load("small"), library_days
    library = predictor.library(4)
    fitted = ridge_heads(statistics, members(group, 4), predictor.theta0, calibration.LIBRARY_RHO)
    found = []
    for number in range(2000, 2004):
        day = history_day(calibration.WANDERING, number)
        concept = day.group_weight[:-4].argmax(axis=2)[..., None]
        sums = calibration.pairs(predictor, day)
        ours = losses(sums, library.heads[library.head_of_group])
        found.append([np.take_along_axis(x, concept, axis=2).mean() for x in (ours, losses(sums, fitted))])
    ours, theirs = np.mean(found, axis=0)
    assert ours < 1.03 * theirs


def test_concept_tables_describe_the_losses_of_wandering_days():
    predictor = load("small")
    library = predictor.library(4)
    heads = np.concatenate([predictor.theta0[None], library.heads])
    loss, present = [], []
    for number in calibration.CONCEPT_DAYS[:6]:
        day = history_day(calibration.WANDERING, number)
        loss.append(losses(calibration.pairs(predictor, day), heads).reshape(-1, 5))
        present.append(day.group_weight[:-4].argmax(axis=2).ravel())
    loss, present = np.concatenate(loss), np.concatenate(present)
    for g in range(4):
        of = np.log(loss[present == g] + 0.02)
        spread = of.std(axis=0)
        assert np.abs(of.mean(axis=0) - library.concept_mean[g]).max() < 0.5 * spread.max()  # six of the 24 days
        assert np.sqrt(np.diag(library.concept_covariance[g])) == pytest.approx(spread, rel=0.35)
    assert (library.concept_loss.argmin(axis=1) != 0).all()  # no concept is served best by the global head


# --- Files ---


@pytest.fixture
def copy(tmp_path):
    """A copy of the small predictor, and what rewrites its arrays with a checksum that fits."""
    predictor = load("small")
    path = predictor.save(tmp_path / "copy")

    def rewrite(**changes):
        with np.load(path) as archive:
            arrays = {f: archive[f] for f in archive.files} | changes
        np.savez(path, **{f: v for f, v in arrays.items() if v is not None})
        config = json.loads(path.with_suffix(".json").read_text())
        config["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_suffix(".json").write_text(json.dumps(config))

    return path, rewrite


def test_a_saved_predictor_is_the_same(copy, day):
    path, _ = copy
    ours, again = load("small"), load(str(path))
    assert again.sha256 == ours.sha256
    inputs = inputs_of(day)[0]
    assert np.array_equal(again.features(inputs), ours.features(inputs))
    assert np.array_equal(again.library(10).concept_covariance, ours.library(10).concept_covariance)
    with pytest.raises(ValueError, match="read-only"):
        again.theta0[0] = 0


def test_a_file_that_is_written_anew_is_another_predictor(copy):
    path, rewrite = copy
    before = load(str(path))
    rewrite(theta0=before.theta0 + 1)
    assert np.array_equal(load(str(path)).theta0, before.theta0 + 1)


@pytest.mark.parametrize(
    "attack, message",
    [
        (lambda p: p.write_bytes(p.read_bytes()[:1000]), "not a predictor"),
        (lambda p: p.write_bytes(b"PK\x03\x04 no archive"), "not a predictor"),
        (lambda p: p.with_suffix(".json").write_text("{"), "not a predictor"),
        (lambda p: p.with_suffix(".json").write_text("[]"), "entry 'format' is missing"),
        (lambda p: p.with_suffix(".json").unlink(), "is not there"),
        (lambda p: p.unlink(), "is not there"),
    ],
)
def test_torn_and_foreign_files_are_refused(copy, attack, message):
    path, _ = copy
    attack(path)
    with pytest.raises(ValueError, match=message):
        load(str(path))


def test_arrays_that_are_not_those_that_were_saved_are_refused(copy):
    path, _ = copy
    with np.load(path) as archive:
        arrays = {f: archive[f] for f in archive.files}
    np.savez(path, **arrays | {"theta0": arrays["theta0"] + 1})
    with pytest.raises(ValueError, match="SHA-256"):
        load(str(path))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"theta0": None}, "arrays .* wanted"),
        ({"extra": np.zeros(3)}, "arrays .* wanted"),
        ({"theta0": np.zeros((20, 9))}, r"whitening of shape \(54, 19\) wanted"),
        ({"heads.4": np.zeros((4, 20, 9), np.float32)}, r"heads.4 of shape \(4, 33, 9\) wanted, got \(4, 20, 9\)"),
        ({"mean_gram": np.full((33, 33), np.nan)}, "mean_gram of finite numbers wanted"),
        ({"input_scale": np.zeros(22)}, "input_scale above 0 wanted"),
        ({"weight1": np.zeros((63, 64), np.float32)}, r"weight1 of shape \(64, 64\) wanted"),
        ({"head_of_group.4": np.array([0, 1, 2, 4])}, r"head_of_group.4 within 0..3 wanted"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(copy, changes, message):
    path, rewrite = copy
    rewrite(**changes)
    with pytest.raises(ValueError, match=message):
        load(str(path))


def test_nothing_is_unpickled(copy):
    path, rewrite = copy
    rewrite(theta0=np.array([{"code": "runs"}], dtype=object))
    with pytest.raises(ValueError, match="not a predictor.*allow_pickle=False"):
        load(str(path))


def test_unknown_names_and_libraries_are_refused():
    with pytest.raises(ValueError, match=r"predictor: one of \['small', 'paper'\] or a file wanted, got 'smal'"):
        load("smal")
    with pytest.raises(ValueError, match=r"num_heads: one of \[2, 4, 10\], .* wanted, got 5"):
        load("small").library(5)


def test_a_network_without_skip_has_its_last_layer_alone():
    base = Base(np.zeros(2), np.ones(2), ((np.eye(2, dtype=np.float32), np.zeros(2, np.float32)),), skip=False)
    assert base.raw_features(np.array([[1.0, -2.0]])).tolist() == [[1.0, 0.0, 1.0]]
    assert math.isclose(dataclasses.replace(base, skip=True).raw_features(np.array([[1.0, -2.0]]))[0, 3], -2.0)
