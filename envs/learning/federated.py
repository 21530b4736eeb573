"""Federated learning in NumPy: one network, all clients in one batch, plain and normalised averaging.

A client's parameters are one row of an array (M, P), so that averaging is one matrix product. Samples of clients are
padded to a common length; a padded place has the index -1 and no influence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue


@dataclass(frozen=True)
class Network:
    """A classifier of fully connected layers, ReLU between them, softmax cross-entropy at the end.

    Attributes
    ----------
    sizes : features, hidden units of each layer, classes.
    """

    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or any(not isinstance(s, int | np.integer) or s < 1 for s in self.sizes):
            raise WrongValue(f"sizes: at least two positive integers wanted, got {self.sizes!r}")

    @property
    def num_parameters(self) -> int:
        """Number of parameters of one model, P."""
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in zip(self.sizes, self.sizes[1:], strict=False))

    def initial(self, rng: np.random.Generator) -> NDArray:
        """Parameters (P,): weights N(0, 2 / fan-in) (He et al., 2015), zero biases."""
        parts = []
        for fan_in, fan_out in zip(self.sizes, self.sizes[1:], strict=False):
            parts += [rng.normal(0.0, math.sqrt(2.0 / fan_in), fan_in * fan_out), np.zeros(fan_out)]
        return np.concatenate(parts)

    def layers(self, parameters: NDArray) -> list[tuple[NDArray, NDArray]]:
        """Views of parameters (M, P): for each layer weights (M, in, out) and biases (M, 1, out)."""
        found, start = [], 0
        for fan_in, fan_out in zip(self.sizes, self.sizes[1:], strict=False):
            middle = start + fan_in * fan_out
            end = middle + fan_out
            weight = parameters[:, start:middle].reshape(len(parameters), fan_in, fan_out)
            found.append((weight, parameters[:, None, middle:end]))
            start = end
        return found

    def logits(self, parameters: NDArray, x: NDArray) -> NDArray:
        """Scores (M, n, C) of M models (M, P) for samples (M, n, F), or (n, F) that all models see."""
        return self._forward(parameters, x)[-1]

    def losses(self, parameters: NDArray, x: NDArray, y: NDArray) -> NDArray:
        """Mean cross-entropy (M,) of models (M, P) over samples x (M, n, F) with classes y (M, n), -1 for no sample."""
        log_probability = _log_softmax(self.logits(parameters, x))
        picked = np.take_along_axis(log_probability, np.maximum(y, 0)[..., None], axis=2)[..., 0]
        present = y >= 0
        return -np.where(present, picked, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)

    def gradients(self, parameters: NDArray, x: NDArray, y: NDArray) -> NDArray:
        """d `losses` / d parameters, (M, P); zero for a client without samples."""
        activations = self._forward(parameters, x)
        layers = self.layers(parameters)
        present = (y >= 0).astype(parameters.dtype)
        share = present / np.maximum(present.sum(axis=1, keepdims=True), 1)  # of each sample in its client's mean
        one_hot = y[..., None] == np.arange(self.sizes[-1])
        delta = (np.exp(_log_softmax(activations[-1])) - one_hot) * share[..., None]  # d loss / d logits, (M, n, C)
        parts: list[NDArray] = []
        for number in range(len(layers) - 1, -1, -1):
            below = activations[number]
            weight_gradient = below.transpose(0, 2, 1) @ delta
            parts[:0] = [weight_gradient.reshape(len(parameters), -1), delta.sum(axis=1)]
            if number:
                delta = (delta @ layers[number][0].transpose(0, 2, 1)) * (below > 0)
        return np.concatenate(parts, axis=1)

    def class_accuracy(self, parameters: NDArray, x: NDArray, y: NDArray) -> NDArray:
        """Share of the test samples x (n, F) of each class that models (M, P) recognise, (M, C)."""
        right = self.logits(parameters, x).argmax(axis=2) == y
        members = y[:, None] == np.arange(self.sizes[-1])  # (n, C)
        if not members.any(axis=0).all():
            raise WrongValue(f"y: test samples of every class wanted, class {members.any(axis=0).argmin()} has none")
        return (right.astype(np.float64) @ members) / members.sum(axis=0)

    def _forward(self, parameters: NDArray, x: NDArray) -> list[NDArray]:
        """The input and the output of every layer, each (M, n, width)."""
        layers = self.layers(parameters)
        out = [np.broadcast_to(x, (len(parameters), *x.shape[-2:]))]
        for number, (weight, bias) in enumerate(layers):
            value = out[-1] @ weight + bias
            out.append(np.maximum(value, 0.0) if number < len(layers) - 1 else value)
        return out


@dataclass(frozen=True)
class ClientData:
    """The samples of N clients: x (N, V_max, F), y (N, V_max) with -1 where a client has no more."""

    x: NDArray
    y: NDArray

    @staticmethod
    def of(x: NDArray, y: NDArray, indices: NDArray) -> ClientData:
        """The samples of a data set, x (n, F) and y (n,), that clients hold: indices (N, V_max), -1 for none."""
        held = indices >= 0
        return ClientData(x[np.maximum(indices, 0)], np.where(held, y[np.maximum(indices, 0)], -1))

    @property
    def sizes(self) -> NDArray:
        """Samples of each client, (N,)."""
        return (self.y >= 0).sum(axis=1)


def epoch_batches(sizes: ArrayLike, batch_size: int, epochs: int, rng: np.random.Generator) -> NDArray:
    """Mini-batches of ``epochs`` passes over the samples of M clients in random order, (M, steps, batch_size).

    Entries are positions among a client's samples, -1 for none: the last batch of a pass may be smaller, and a client
    with fewer samples has empty steps at the end of each pass.
    """
    v = np.asarray(sizes)
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        if value < 1:
            raise WrongValue(f"{name}: an integer of at least 1 wanted, got {value!r}")
    per_pass = max(-(-int(v.max(initial=0)) // batch_size), 1)
    out = np.full((len(v), epochs, per_pass * batch_size), -1)
    for client, size in enumerate(v):
        for epoch in range(epochs):
            out[client, epoch, :size] = rng.permutation(size)
    return out.reshape(len(v), epochs * per_pass, batch_size)


def sampled_batches(sizes: ArrayLike, batch_sizes: ArrayLike, steps: ArrayLike, rng: np.random.Generator) -> NDArray:
    """Mini-batches for clients that work differently hard, (M, most steps, largest batch).

    In each of its ``steps`` a client draws as many as its ``batch_sizes`` of its ``sizes`` samples, without replacement
    within a step. Entries are positions among a client's samples, -1 for none; a client without samples has no step.

    >>> batches = sampled_batches([3, 5], [3, 1], [2, 1], np.random.default_rng(0))
    >>> batches.shape, (batches >= 0).sum(axis=2).tolist()
    ((2, 2, 3), [[3, 3], [1, 0]])
    """
    v, b, k = np.broadcast_arrays(*(np.asarray(x) for x in (sizes, batch_sizes, steps)))
    for name, values in (("sizes", v), ("batch_sizes", b), ("steps", k)):
        if v.ndim != 1 or not np.issubdtype(values.dtype, np.integer) or (values < 0).any():
            raise WrongValue(f"{name}: integers of at least 0, one a client, wanted, got {values!r}")
    if ((b < 1) | (b > v))[v > 0].any():
        raise WrongValue(f"batch_sizes: 1 .. a client's samples {v.tolist()} wanted, got {b.tolist()}")
    b, k = np.where(v > 0, b, 0), np.where(v > 0, k, 0)
    out = np.full((len(v), k.max(initial=0), b.max(initial=0)), -1)
    for client, (size, batch, count) in enumerate(zip(v, b, k, strict=True)):
        everything = np.broadcast_to(np.arange(size), (count, size))
        out[client, :count, :batch] = rng.permuted(everything, axis=1)[:, :batch]
    return out


def local_sgd(
    network: Network,
    start: NDArray,
    data: ClientData,
    batches: NDArray,
    learning_rate: float,
    proximal: float = 0.0,
) -> NDArray:
    """Train each of M clients from its row of ``start`` (M, P) on its mini-batches (M, steps, batch); returns (M, P).

    .. math:: x \\leftarrow x - \\eta\\,(\\nabla f(x) + \\mu (x - x_{start}))

    mu = ``proximal`` above 0 is FedProx (Li et al., 2020). Empty mini-batches change nothing.
    """
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise WrongValue(f"learning_rate: a positive number wanted, got {learning_rate!r}")
    if not (math.isfinite(proximal) and proximal >= 0):
        raise WrongValue(f"proximal: a number of at least 0 wanted, got {proximal!r}")
    if not (len(start) == len(data.y) == len(batches)):
        raise WrongValue(
            f"start, data, batches: one row a client wanted, got {len(start)}, {len(data.y)} and {len(batches)}"
        )
    parameters = start
    clients = np.arange(len(start))[:, None]
    for step in range(batches.shape[1]):
        chosen = batches[:, step]
        x = data.x[clients, np.maximum(chosen, 0)]
        y = np.where(chosen >= 0, data.y[clients, np.maximum(chosen, 0)], -1)
        change = network.gradients(parameters, x, y)
        if proximal:
            change = change + proximal * (parameters - start) * (chosen >= 0).any(axis=1, keepdims=True)
        parameters = parameters - learning_rate * change
    return parameters


def average(current: NDArray, clients: NDArray, weights: ArrayLike, clusters: ArrayLike) -> NDArray:
    """FedAvg inside clusters: models (Z, P) after averaging client parameters (M, P) with ``weights`` (M,).

    ``clusters`` (M,) is the cluster of each client; a cluster without clients keeps its ``current`` model.
    """
    w, z = np.asarray(weights, dtype=np.float64), np.asarray(clusters)
    if w.shape != (len(clients),) or z.shape != w.shape:
        raise WrongValue(f"weights, clusters: shape {(len(clients),)} wanted, got {w.shape} and {z.shape}")
    if not (np.isfinite(w).all() and (w > 0).all()):
        raise WrongValue("weights: positive finite numbers wanted")
    mixing = np.where(z == np.arange(len(current))[:, None], w, 0.0)  # (Z, M)
    total = mixing.sum(axis=1, keepdims=True)
    mixing = (mixing / np.where(total > 0, total, 1.0)).astype(clients.dtype)
    return np.where(total > 0, mixing @ clients, current)


def normalised_average(
    current: NDArray, clients: NDArray, weights: ArrayLike, norms: ArrayLike, server_scale: float | None = None
) -> NDArray:
    """FedNova (Wang et al., 2020): the new model (P,) from ``current`` (P,) and trained clients (M, P).

    .. math:: x \\leftarrow x + \\vartheta \\sum_i p_i \\frac{x_i - x}{\\lVert a_i \\rVert_1}

    p_i are ``weights`` (M,) over their sum, the norms ||a_i||_1 (M,) say how many steps a client's change is worth
    (`rangym.envs.learning.convergence.norm1`), and vartheta is ``server_scale``, FedNova's own sum_i p_i ||a_i||_1
    where it is None. With equal norms and FedNova's vartheta this is `average`.
    """
    w, a = np.asarray(weights, dtype=np.float64), np.asarray(norms, dtype=np.float64)
    if current.ndim != 1 or clients.shape != (len(w), len(current)) or w.ndim != 1 or a.shape != w.shape:
        raise WrongValue(
            "current, clients, weights, norms: shapes (P,), (M, P), (M,), (M,) wanted, got "
            f"{current.shape}, {clients.shape}, {w.shape}, {a.shape}"
        )
    for name, values in (("weights", w), ("norms", a)):
        if not (np.isfinite(values).all() and (values > 0).all() and len(values)):
            raise WrongValue(f"{name}: positive finite numbers wanted, got {values!r}")
    share = w / w.sum()
    scale = float(share @ a) if server_scale is None else server_scale
    return current + ((scale * share / a).astype(clients.dtype) @ (clients - current))


@dataclass(frozen=True)
class Accuracy:
    """Test accuracy of each of N clients under the model of its cluster.

    Attributes
    ----------
    personal : (N,), classes weighted by the client's own shares.
    overall : (N,), all classes alike (balanced accuracy).
    """

    personal: NDArray
    overall: NDArray


class FederatedTraining:
    """Cluster models that clients train in rounds.

    Parameters
    ----------
    network, data : the classifier, and the samples of the N clients.
    clusters : (N,) cluster of each client, 0 .. Z - 1; all models start alike.
    rng : initial parameters and the order of samples.
    batch_size, epochs, learning_rate, proximal : local training, see `epoch_batches` and `local_sgd`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.random((2, 8, 3)), rng.integers(2, size=(2, 8))
    >>> training = FederatedTraining(Network((3, 2)), ClientData(x, y), [0, 0], rng)
    >>> training.round([0, 1])
    >>> training.models.shape
    (1, 8)
    """

    def __init__(
        self,
        network: Network,
        data: ClientData,
        clusters: ArrayLike,
        rng: np.random.Generator,
        *,
        batch_size: int = 10,
        epochs: int = 1,
        learning_rate: float = 0.1,
        proximal: float = 0.0,
    ):
        self.network, self.data, self._rng = network, data, rng
        self.clusters = np.asarray(clusters)
        if self.clusters.shape != (len(data.y),) or self.clusters.min(initial=0) < 0:
            raise WrongValue(f"clusters: {len(data.y)} labels of at least 0 wanted, got {clusters!r}")
        if (data.sizes == 0).any():
            raise WrongValue(f"data: at least one sample for each client wanted, client {data.sizes.argmin()} has none")
        self.batch_size, self.epochs = batch_size, epochs
        self.learning_rate, self.proximal = learning_rate, proximal
        initial = network.initial(rng).astype(data.x.dtype)
        self.models = np.repeat(initial[None], int(self.clusters.max()) + 1, axis=0)

    def round(self, clients: ArrayLike) -> None:
        """The named clients train from their cluster's model and are averaged, weighted by their samples."""
        chosen = np.asarray(clients, dtype=np.int64)
        if len(chosen) == 0:
            return
        own = ClientData(self.data.x[chosen], self.data.y[chosen])
        batches = epoch_batches(own.sizes, self.batch_size, self.epochs, self._rng)
        start = self.models[self.clusters[chosen]]
        trained = local_sgd(self.network, start, own, batches, self.learning_rate, self.proximal)
        self.models = average(self.models, trained, own.sizes, self.clusters[chosen])

    def accuracy(self, x_test: NDArray, y_test: NDArray, shares: NDArray) -> Accuracy:
        """On test samples (n, F), (n,); ``shares`` (N, C) are the clients' class shares."""
        by_class = self.network.class_accuracy(self.models, x_test, y_test)[self.clusters]  # (N, C)
        return Accuracy((by_class * shares).sum(axis=1), by_class.mean(axis=1))


def _log_softmax(logits: NDArray) -> NDArray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
