"""Data sets and partitions: IDX files byte by byte, counts and shares of users."""

import gzip
import itertools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rangym.envs.learning import datasets
from rangym.envs.learning.datasets import IDX_FILES, load, load_once, read_idx
from rangym.envs.learning.partition import (
    ClassPools,
    dirichlet_partition,
    dirichlet_shares,
    drifting_shares,
    largest_remainders,
)


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(256, size=(30, 4, 5)),
        "y_train": np.arange(30) % 3,
        "x_test": rng.integers(256, size=(6, 4, 5)),
        "y_test": np.arange(6) % 3,
    }
    for part, array in arrays.items():
        (tmp_path / IDX_FILES[part]).write_bytes(idx(array))
    return tmp_path, arrays


def test_digits():
    data = load()
    assert (data.name, data.num_features, data.num_classes) == ("digits", 64, 10)
    assert len(data.x_train) + len(data.x_test) == 1797
    assert len(data.x_test) == 360
    assert data.x_train.min() == 0.0 and data.x_train.max() == 1.0
    assert np.bincount(data.y_test).min() >= 34  # 20 % of each class
    np.testing.assert_array_equal(load().x_test, data.x_test)
    merged = np.concatenate([data.x_train, data.x_test])
    from sklearn.datasets import load_digits

    assert sorted(map(bytes, merged)) == sorted(map(bytes, (load_digits().data / 16).astype(np.float32)))


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_are_read_byte_by_byte(folder, zipped):
    path, arrays = folder
    if zipped:
        for file in list(path.iterdir()):
            (path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
    data = load("mnist", path)
    np.testing.assert_allclose(data.x_train, arrays["x_train"].reshape(30, 20) / 255, rtol=1e-6)
    np.testing.assert_array_equal(data.y_test, arrays["y_test"])
    assert (data.name, data.num_features, data.num_classes) == ("mnist", 20, 3)


def test_missing_files_are_named(folder):
    path, _ = folder
    (path / IDX_FILES["y_test"]).unlink()
    (path / IDX_FILES["x_train"]).unlink()
    with pytest.raises(FileNotFoundError, match=f"{path}.*{IDX_FILES['x_train']}.*{IDX_FILES['y_test']}"):
        load("fashion_mnist", path)
    with pytest.raises(ValueError, match=f"path: the folder with {IDX_FILES['x_train']}"):
        load("mnist")


@pytest.mark.parametrize("change", [-1, -200, 3])
def test_a_torn_file_is_refused_with_both_sizes(folder, change):
    path, _ = folder
    file = path / IDX_FILES["x_train"]
    content = file.read_bytes()
    file.write_bytes(content[:change] if change < 0 else content + b"\0" * change)
    says = f"{IDX_FILES['x_train']}: {len(content)} bytes wanted for shape .*the file has {len(content) + change}"
    with pytest.raises(ValueError, match=says):
        load("mnist", path)


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"\0\0\x08")
    with pytest.raises(ValueError, match="a header of 16 bytes wanted, the file has 3"):
        read_idx(file, 3)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" * 4)
    with pytest.raises(ValueError, match="unsigned bytes in 3 .*got the magic number 89504e47"):
        read_idx(file, 3)
    zipped = tmp_path / "x.gz"
    zipped.write_bytes(gzip.compress(idx(np.zeros((3, 2, 2))))[:-9])
    with pytest.raises(ValueError, match=r"x\.gz: a torn gzip file"):
        read_idx(zipped, 3)


def test_images_without_labels_are_refused(folder):
    path, _ = folder
    (path / IDX_FILES["y_train"]).write_bytes(idx(np.zeros(29)))
    with pytest.raises(ValueError, match="as many images as labels.*got 30 and 29"):
        load("mnist", path)


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """The six files with three records each."""
    monkeypatch.setattr(datasets, "CIFAR_IMAGES", 3)
    rng, records = np.random.default_rng(1), {}
    for name in (*datasets.CIFAR_FILES["train"], *datasets.CIFAR_FILES["test"]):
        records[name] = rng.integers(256, size=(3, 3073)).astype(np.uint8)
        records[name][:, 0] = rng.integers(10, size=3)
        (tmp_path / name).write_bytes(records[name].tobytes())
    return tmp_path, records


@pytest.mark.parametrize("zipped", [False, True])
def test_cifar_files_are_read_byte_by_byte(cifar, zipped):
    path, records = cifar
    if zipped:
        for file in list(path.iterdir()):
            (path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
    data = load("cifar10", path)
    assert (data.name, data.num_features, data.num_classes) == ("cifar10", 3072, 10)
    assert data.x_train.shape == (15, 3072) and data.x_test.shape == (3, 3072) and data.x_train.dtype == np.float32
    third = records["data_batch_3.bin"]
    assert data.y_train[6:9].tolist() == third[:, 0].tolist()
    np.testing.assert_allclose(data.x_train[6:9], third[:, 1:] / 255, rtol=1e-6)
    np.testing.assert_array_equal(data.y_test, records["test_batch.bin"][:, 0])


@pytest.mark.parametrize("change", [-1, -3073, -5000, 3073])
def test_a_torn_cifar_file_is_refused_with_both_sizes(cifar, change):
    path, _ = cifar
    file = path / "data_batch_4.bin"
    content = file.read_bytes()
    file.write_bytes(content[:change] if change < 0 else content + content[:change])
    says = rf"data_batch_4\.bin: 9219 bytes \(3 records of 3073\) wanted, the file has {9219 + change}"
    with pytest.raises(ValueError, match=says):
        load("cifar10", path)


def test_other_files_in_place_of_cifars_are_refused(cifar):
    path, records = cifar
    wrong = records["test_batch.bin"].copy()
    wrong[1, 0] = 17  # as in CIFAR-100
    (path / "test_batch.bin").write_bytes(wrong.tobytes())
    with pytest.raises(ValueError, match=r"test_batch\.bin: classes 0\.\.9 wanted, got 17 in record 1"):
        load("cifar10", path)
    (path / "test_batch.bin").unlink()
    (path / "test_batch.bin.gz").write_bytes(gzip.compress(wrong.tobytes())[:-500])
    with pytest.raises(ValueError, match=r"test_batch\.bin\.gz: a torn gzip file"):
        load("cifar10", path)
    (path / "test_batch.bin.gz").unlink()
    (path / "data_batch_2.bin").unlink()
    with pytest.raises(FileNotFoundError, match="cifar10 needs data_batch_2.bin, test_batch.bin there"):
        load("cifar10", path)
    with pytest.raises(ValueError, match="path: the folder with data_batch_1.bin"):
        load("cifar10")


def test_cifar_has_ten_thousand_images_a_file(tmp_path):
    (tmp_path / "x").write_bytes(bytes(3073))
    with pytest.raises(ValueError, match="30730000 bytes"):
        datasets.read_cifar(tmp_path / "x")


def test_a_data_set_is_read_once(folder):
    assert load_once("digits", None) is load_once("digits", None)
    path, arrays = folder
    found = load_once("mnist", str(path))
    assert load_once("mnist", str(path)) is found
    arrays["y_train"][0] = 2
    (path / IDX_FILES["y_train"]).write_bytes(idx(arrays["y_train"]))  # written anew under its name
    assert load_once("mnist", str(path)).y_train[0] == 2 and found.y_train[0] == 0


def test_wrong_names():
    with pytest.raises(ValueError, match="name: one of .*got 'cifar'"):
        load("cifar")
    with pytest.raises(ValueError, match="path: none wanted for 'digits'"):
        load("digits", "somewhere")


def test_partition_holds_what_it_counts():
    labels = np.repeat(np.arange(4), 25)
    sizes = np.arange(10, 40)
    found = dirichlet_partition(labels, sizes, 0.3, np.random.default_rng(0))
    np.testing.assert_array_equal(found.sizes, sizes)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1.0)
    for user, size in enumerate(sizes):
        own = found.indices[user]
        assert (own[:size] >= 0).all() and (own[size:] == -1).all()
        np.testing.assert_array_equal(np.bincount(labels[own[:size]], minlength=4), found.counts[user])
        again = np.bincount(own[:size]).max()  # a sample comes again only when its class is used up
        assert again == -(-found.counts[user].max() // 25) or again == 1


@pytest.mark.parametrize("concentration", [1e-4, 0.01, 0.5, 10.0])
def test_shares_have_the_dirichlets_second_moment(concentration):
    """Counts of two samples agree with probability sum p^2 = (alpha + 1)/(C alpha + 1)."""
    labels = np.repeat(np.arange(10), 3)
    counts = dirichlet_partition(labels, np.full(20_000, 2), concentration, np.random.default_rng(1)).counts
    share = (counts == 2).any(axis=1).mean()
    assert share == pytest.approx((concentration + 1) / (10 * concentration + 1), abs=0.012)


def test_shares_drift_as_their_recursion_says():
    rng = np.random.default_rng(2)
    fresh = dirichlet_shares(0.3, (6, 4, 10), np.random.default_rng(2))
    found = drifting_shares(6, 4, 10, 0.3, 0.2, rng)
    expected = fresh[0]
    np.testing.assert_array_equal(found[0], expected)
    for t in range(1, 6):
        expected = 0.8 * expected + 0.2 * fresh[t]
        np.testing.assert_allclose(found[t], expected, rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=2), 1.0)
    still = drifting_shares(6, 4, 10, 0.3, 0.0, np.random.default_rng(2))
    assert (still == still[0]).all()
    np.testing.assert_array_equal(drifting_shares(6, 4, 10, 0.3, 1.0, np.random.default_rng(2)), fresh)
    for rate in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="rate: a number in"):
            drifting_shares(6, 4, 10, 0.3, rate, rng)
    with pytest.raises(ValueError, match="concentration: a positive"):
        drifting_shares(6, 4, 10, 0.0, 0.2, rng)


def test_samples_are_drawn_by_class_and_evenly_within_one():
    labels = np.array([1, 0, 1, 1, 2, 0, 2, 2, 2])
    pools, shares = ClassPools.of(labels, 3), np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
    sizes = np.array([40_000, 20_000])
    drawn = pools.draw(shares, sizes, np.random.default_rng(0))
    for n, own in enumerate(np.split(drawn, [40_000])):
        expected = shares[n, labels] / np.bincount(labels)[labels]
        found = np.bincount(own, minlength=9) / sizes[n]
        np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(0.25 / sizes[n]))
        assert (found[expected == 0] == 0).all()
    with pytest.raises(ValueError, match="class 1 has none"):
        ClassPools.of(np.array([0, 2]), 3)


@given(st.data())
def test_largest_remainders_are_the_nearest_whole_numbers(data):
    """Against all whole numbers of the same sum: none is nearer to the quotas in the sum of squares."""
    k, total = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 6))
    raw = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=k, max_size=k)))
    shares = raw / raw.sum()
    found = largest_remainders(shares[None], np.array([total]))[0]
    assert found.sum() == total and (found >= 0).all()
    others = (c for c in itertools.product(range(total + 1), repeat=k) if sum(c) == total)
    least = min(((np.array(c) - shares * total) ** 2).sum() for c in others)
    assert ((found - shares * total) ** 2).sum() <= least + 1e-9


@pytest.mark.parametrize(
    ("labels", "sizes", "concentration", "says"),
    [
        ([0, 1], [3], 0.0, "concentration: a positive"),
        ([0, 1], [3], np.nan, "concentration: a positive"),
        ([0, 1], [0], 1.0, "sizes: integers of at least 1"),
        ([0, 1], [], 1.0, "sizes: integers"),
        ([0, 1], [1.5], 1.0, "sizes: integers"),
        ([0, 2], [3], 1.0, "class 1 has none"),
        ([0.0, 1.0], [3], 1.0, "labels: integers"),
        ([], [3], 1.0, "labels: integers"),
    ],
)
def test_wrong_partitions(labels, sizes, concentration, says):
    with pytest.raises(ValueError, match=says):
        dirichlet_partition(labels, sizes, concentration, np.random.default_rng(0))
