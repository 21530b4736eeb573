"""Federated training: gradients by finite differences, batched clients one by one, averaging by hand."""

import doctest

import numpy as np
import pytest

from rangym.envs.learning import federated
from rangym.envs.learning.federated import (
    ClientData,
    FederatedTraining,
    Network,
    average,
    epoch_batches,
    local_sgd,
    normalised_average,
    sampled_batches,
)

NETWORK = Network((5, 4, 3))


def clients(rng, sizes=(7, 3, 5), features=5, classes=3):
    x = rng.normal(size=(len(sizes), max(sizes), features))
    y = rng.integers(classes, size=(len(sizes), max(sizes)))
    for i, size in enumerate(sizes):
        x[i, size:] = 1e3  # padding, which must not matter
        y[i, size:] = -1
    return ClientData(x, y)


def models(rng, number=3, network=NETWORK):
    return np.stack([network.initial(rng) + rng.normal(0, 0.1, network.num_parameters) for _ in range(number)])


def test_doctests():
    assert doctest.testmod(federated).failed == 0


def test_network_by_hand():
    """One ReLU unit, two classes: logits (2 r, 1 - r) with r = max(0, 3 x - 1)."""
    network = Network((1, 1, 2))
    assert network.num_parameters == 6
    parameters = np.array([[3.0, -1.0, 2.0, -1.0, 0.0, 1.0]])
    x = np.array([[[1.0], [0.0]]])
    np.testing.assert_allclose(network.logits(parameters, x), [[[4.0, -1.0], [0.0, 1.0]]])
    expected = (np.log(1 + np.exp(-5)) + np.log(1 + np.exp(1.0))) / 2
    assert network.losses(parameters, x, np.array([[0, 0]]))[0] == pytest.approx(expected)


@pytest.mark.parametrize("sizes", [(5, 3), (5, 4, 3), (5, 6, 4, 3)])
def test_gradients_by_central_differences(sizes):
    rng = np.random.default_rng(0)
    network, data = Network(sizes), clients(rng)
    parameters = models(rng, network=network)
    gradient = network.gradients(parameters, data.x, data.y)
    step = 1e-6
    for p in range(network.num_parameters):
        shift = step * (np.arange(network.num_parameters) == p)
        numeric = (
            network.losses(parameters + shift, data.x, data.y) - network.losses(parameters - shift, data.x, data.y)
        ) / (2 * step)
        np.testing.assert_allclose(gradient[:, p], numeric, atol=1e-7)


def test_large_logits_do_not_overflow():
    parameters = 1e4 * models(np.random.default_rng(1))
    data = clients(np.random.default_rng(1))
    with np.errstate(over="raise", invalid="raise"):
        assert np.isfinite(NETWORK.losses(parameters, data.x, data.y)).all()
        assert np.isfinite(NETWORK.gradients(parameters, data.x, data.y)).all()


@pytest.mark.parametrize("proximal", [0.0, 0.3])
def test_clients_together_are_clients_one_by_one(proximal):
    rng = np.random.default_rng(2)
    data, start = clients(rng), models(rng)
    batches = epoch_batches(data.sizes, 2, 3, rng)
    together = local_sgd(NETWORK, start, data, batches, 0.2, proximal)
    for i, size in enumerate(data.sizes):
        parameters = start[i]
        for batch in batches[i]:
            chosen = batch[batch >= 0]
            if len(chosen) == 0:
                continue
            assert (chosen < size).all()
            gradient = NETWORK.gradients(parameters[None], data.x[i : i + 1, chosen], data.y[i : i + 1, chosen])[0]
            parameters = parameters - 0.2 * (gradient + proximal * (parameters - start[i]))
        np.testing.assert_allclose(together[i], parameters, rtol=1e-12, atol=1e-14)


def test_float32_stays():
    rng = np.random.default_rng(3)
    data = clients(rng)
    small = ClientData(data.x.astype(np.float32), data.y)
    training = FederatedTraining(NETWORK, small, [0, 0, 1], rng)
    training.round([0, 1, 2])
    assert training.models.dtype == np.float32


def test_epochs_pass_over_every_sample():
    batches = epoch_batches([7, 3, 1], 2, 3, np.random.default_rng(4))
    assert batches.shape == (3, 3 * 4, 2)
    for client, size in enumerate((7, 3, 1)):
        for epoch in np.split(batches[client], 3):
            assert sorted(epoch[epoch >= 0]) == list(range(size))
    orders = [tuple(epoch.ravel()) for epoch in np.split(batches[0], 3)]
    assert len(set(orders)) == 3


def test_average_by_hand():
    current = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    trained = np.array([[0.0, 4.0], [8.0, 0.0], [5.0, 6.0]])
    new = average(current, trained, [30, 10, 7], [0, 0, 2])
    np.testing.assert_allclose(new, [[2.0, 3.0], [2.0, 2.0], [5.0, 6.0]])


def test_identical_clients_average_to_the_client():
    trained = np.repeat(models(np.random.default_rng(6), 1), 4, axis=0)
    new = average(np.zeros((1, NETWORK.num_parameters)), trained, [1, 5, 2, 9], [0] * 4)
    np.testing.assert_allclose(new, trained[:1], rtol=1e-14)


def test_one_full_batch_step_of_fedavg_is_gradient_descent_on_all_samples():
    rng = np.random.default_rng(7)
    data = clients(rng)
    training = FederatedTraining(NETWORK, data, [0, 0, 0], rng, batch_size=7, learning_rate=0.3)
    before = training.models.copy()
    training.round([0, 1, 2])
    present = data.y >= 0
    pooled_x, pooled_y = data.x[present][None], data.y[present][None]
    expected = before - 0.3 * NETWORK.gradients(before, pooled_x, pooled_y)
    np.testing.assert_allclose(training.models, expected, rtol=1e-10, atol=1e-12)


def test_only_named_clients_and_their_clusters_change():
    rng = np.random.default_rng(8)
    data = clients(rng)
    training = FederatedTraining(NETWORK, data, [0, 1, 1], rng)
    np.testing.assert_array_equal(training.models[0], training.models[1])
    before = training.models.copy()
    training.round([])
    np.testing.assert_array_equal(training.models, before)
    training.round([2])
    np.testing.assert_array_equal(training.models[0], before[0])
    assert (training.models[1] != before[1]).any()


def test_accuracy_by_hand():
    """Model 0 always says class 0, model 1 is right on classes 1 and 2."""
    network = Network((3, 3))
    data = ClientData(np.zeros((2, 1, 3)), np.zeros((2, 1), dtype=int))
    training = FederatedTraining(network, data, [0, 1], np.random.default_rng(0))
    always_0 = np.concatenate([np.zeros(9), [1.0, 0.0, 0.0]])
    knows_two = np.concatenate([np.diag([0.0, 1.0, 1.0]).ravel(), [-1.0, 0.0, 0.0]])
    training.models = np.stack([always_0, knows_two])
    x, y = np.eye(3)[[0, 0, 1, 2]], np.array([0, 0, 1, 2])
    found = training.accuracy(x, y, shares=np.array([[0.5, 0.5, 0.0], [0.2, 0.5, 0.3]]))
    np.testing.assert_allclose(found.personal, [0.5, 0.8])
    np.testing.assert_allclose(found.overall, [1 / 3, 2 / 3])


def test_training_learns():
    rng = np.random.default_rng(9)
    centres = 2.0 * rng.normal(size=(3, 5))
    y = rng.integers(3, size=(6, 40))
    data = ClientData(centres[y] + 0.3 * rng.normal(size=(6, 40, 5)), y)
    training = FederatedTraining(NETWORK, data, [0] * 6, rng, learning_rate=0.2)
    for _ in range(30):
        training.round(rng.choice(6, 3, replace=False))
    found = training.accuracy(data.x[0], data.y[0], np.full((6, 3), 1 / 3))
    assert found.overall.mean() > 0.97


def test_normalised_average_by_hand():
    """Weights 1 : 3, two and five steps: theta = 4.25, x = 1 + 4.25 (.25 (2 - 1) / 2 + .75 (-4 - 1) / 5)."""
    current, trained = np.array([1.0]), np.array([[2.0], [-4.0]])
    assert normalised_average(current, trained, [1, 3], [2.0, 5.0])[0] == pytest.approx(1 + 4.25 * (0.125 - 0.75))
    assert normalised_average(current, trained, [1, 3], [2.0, 5.0], 1.0)[0] == pytest.approx(0.375)


def test_normalised_average_from_its_directions():
    """(10), (11): d_i = (x - x_i) / (eta ||a_i||_1), x <- x - theta eta sum p_i d_i, one number at a time."""
    rng = np.random.default_rng(0)
    current, trained = rng.normal(size=7), rng.normal(size=(4, 7))
    sizes, norms, eta = [3, 1, 9, 2], [1.0, 2.71, 4.0, 1.9], 0.3
    theta = sum(size / 15 * norm for size, norm in zip(sizes, norms, strict=True))
    for given, scale in ((None, theta), (0.7, 0.7)):
        expected = []
        for k in range(7):
            step = sum(sizes[i] / 15 * (current[k] - trained[i, k]) / (eta * norms[i]) for i in range(4))
            expected.append(current[k] - scale * eta * step)
        np.testing.assert_allclose(normalised_average(current, trained, sizes, norms, given), expected, rtol=1e-12)


def test_normalised_average_is_the_average_with_equal_norms():
    rng = np.random.default_rng(1)
    current, trained, sizes = rng.normal(size=20), rng.normal(size=(5, 20)), rng.integers(1, 50, 5)
    plain = average(current[None], trained, sizes, np.zeros(5, int))[0]
    np.testing.assert_allclose(normalised_average(current, trained, sizes, np.full(5, 3.7)), plain, atol=1e-14)
    different = normalised_average(current, trained, sizes, np.arange(1.0, 6.0))
    assert np.abs(different - plain).max() > 0.1


def test_sampled_batches_have_their_counts_and_no_sample_twice_in_a_step():
    sizes, batch, steps = np.array([5, 0, 8, 1]), np.array([2, 7, 8, 1]), np.array([3, 4, 1, 6])
    found = sampled_batches(sizes, batch, steps, np.random.default_rng(0))
    assert found.shape == (4, 6, 8)
    for i in range(4):
        for k in range(6):
            own = found[i, k][found[i, k] >= 0]
            assert len(own) == (batch[i] if sizes[i] and k < steps[i] else 0)
            assert len(set(own)) == len(own) and (own < sizes[i]).all()
    again = sampled_batches(sizes, batch, steps, np.random.default_rng(0))
    np.testing.assert_array_equal(found, again)


def test_sampled_batches_take_each_sample_and_pair_equally_often():
    found = sampled_batches([5], [2], [40_000], np.random.default_rng(3))[0]
    together = np.zeros((5, 5))
    np.add.at(together, (found[:, 0], found[:, 1]), 1)
    off = together[~np.eye(5, dtype=bool)] / 40_000
    np.testing.assert_allclose(off, 1 / 20, atol=5 * np.sqrt(0.05 / 40_000))
    assert together.trace() == 0


def test_batches_of_unequal_work_train_each_client_by_itself():
    rng = np.random.default_rng(4)
    data, start = clients(rng), models(rng)
    batches = sampled_batches(data.sizes, [7, 1, 2], [1, 4, 2], rng)
    together = local_sgd(NETWORK, start, data, batches, 0.2, 0.3)
    for i, (count, size) in enumerate(((1, 7), (4, 1), (2, 2))):
        parameters = start[i]
        for k in range(count):
            own = batches[i, k, :size]
            gradient = NETWORK.gradients(parameters[None], data.x[i, own][None], data.y[i, own][None])[0]
            parameters = parameters - 0.2 * (gradient + 0.3 * (parameters - start[i]))
        np.testing.assert_allclose(together[i], parameters, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda d, r: Network((5,)), "sizes: at least two"),
        (lambda d, r: Network((5, 0, 3)), "sizes: at least two positive"),
        (lambda d, r: FederatedTraining(NETWORK, d, [0, 1], r), "clusters: 3 labels"),
        (lambda d, r: FederatedTraining(NETWORK, d, [0, -1, 1], r), "clusters: 3 labels of at least 0"),
        (
            lambda d, r: FederatedTraining(NETWORK, ClientData(d.x, np.full_like(d.y, -1)), [0] * 3, r),
            "client 0 has none",
        ),
        (lambda d, r: local_sgd(NETWORK, models(r), d, np.zeros((3, 1, 1), int), 0.0), "learning_rate: a positive"),
        (lambda d, r: local_sgd(NETWORK, models(r), d, np.zeros((3, 1, 1), int), 0.1, -1.0), "proximal: a number"),
        (lambda d, r: local_sgd(NETWORK, models(r), d, np.zeros((2, 1, 1), int), 0.1), "one row a client"),
        (lambda d, r: average(np.zeros((1, 2)), np.zeros((2, 2)), [1.0, 0.0], [0, 0]), "weights: positive"),
        (lambda d, r: average(np.zeros((1, 2)), np.zeros((2, 2)), [1.0], [0, 0]), r"shape \(2,\)"),
        (lambda d, r: epoch_batches([3], 0, 1, r), "batch_size: an integer"),
        (
            lambda d, r: sampled_batches([3], [4], [1], r),
            r"batch_sizes: 1 .. a client's samples \[3\] wanted, got \[4\]",
        ),
        (lambda d, r: sampled_batches([3], [0], [1], r), "batch_sizes: 1 .. a client's samples"),
        (lambda d, r: sampled_batches([3], [1], [-1], r), "steps: integers of at least 0"),
        (lambda d, r: sampled_batches([3], [1.5], [1], r), "batch_sizes: integers of at least 0"),
        (lambda d, r: sampled_batches(3, 1, 1, r), "sizes: integers of at least 0, one a client"),
        (lambda d, r: normalised_average(np.zeros(2), np.zeros((1, 3)), [1], [1.0]), "shapes"),
        (lambda d, r: normalised_average(np.zeros(2), np.zeros((2, 2)), [1, 0], [1.0, 1.0]), "weights: positive"),
        (lambda d, r: normalised_average(np.zeros(2), np.zeros((2, 2)), [1, 1], [1.0, np.nan]), "norms: positive"),
        (lambda d, r: normalised_average(np.zeros(2), np.zeros((0, 2)), [], []), "weights: positive"),
        (lambda d, r: NETWORK.class_accuracy(models(r), d.x[0], np.zeros(7, int)), "class 1 has none"),
    ],
)
def test_wrong_input(call, says):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=says):
        call(clients(rng), rng)
