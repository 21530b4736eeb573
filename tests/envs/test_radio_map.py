"""Radio map files: what is saved is loaded, and anything else is refused by name."""

import numpy as np
import pytest

from rangym.envs.cell_association.radio_map import RadioMap


def test_save_and_load(road_map, tmp_path):
    a = RadioMap.load(road_map)
    a.save(tmp_path / "again")
    b = RadioMap.load(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == road_map.read_bytes()
    assert a.summary() == b.summary()
    assert "rows: 1,200," in a.summary() and "cells: 4 (2 of 5G, 2 of LTE)" in a.summary()


@pytest.mark.parametrize("content", ["", "half", "text", "trace", "pickle"])
def test_a_torn_or_foreign_map_is_refused_by_name(content, road_map, tmp_path):
    path = tmp_path / "broken.npz"
    whole = road_map.read_bytes()
    match content:
        case "":
            path.write_bytes(b"")
        case "half":
            path.write_bytes(whole[: len(whole) // 2])
        case "text":
            path.write_text("time,ue\n")
        case "trace":
            np.savez(path, sinr_db=np.zeros(3))
        case "pickle":
            np.savez(path, format=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"broken\.npz: not a radio map"):
        RadioMap.load(path)


def test_a_map_with_a_wrong_shape_or_index_is_refused(road_map, tmp_path):
    with np.load(road_map) as archive:
        fields = {k: archive[k] for k in archive.files}
    for field, value in [
        ("bandwidth_mhz", np.ones(3)),
        ("track_location", fields["track_location"] + 10**6),
        ("track_start", fields["track_start"][::-1]),
        ("sinr_db", np.full_like(fields["sinr_db"], np.inf)),
        ("kind", np.array("guessed")),
    ]:
        np.savez(tmp_path / "wrong.npz", **{**fields, field: value})
        with pytest.raises(ValueError, match=rf"wrong\.npz: .*{field}"):
            RadioMap.load(tmp_path / "wrong.npz")
