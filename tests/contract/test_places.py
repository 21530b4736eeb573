"""Where commands are to write: what cannot be written is refused before the work."""

import argparse
import os
from pathlib import Path

import pytest

from rangym.cli import COMMANDS, _parser, main
from rangym.evaluation.places import new_file, new_folder


def _places(command) -> list[argparse.Action]:
    """The arguments of a command that say where it writes."""
    (commands,) = (a for a in _parser([command])._actions if isinstance(a, argparse._SubParsersAction))
    return [a for a in commands.choices[command]._actions if a.type in (new_file, new_folder)]


def _asked(command) -> dict[str, list[str]]:
    """The least that each command is called with, the places apart."""
    return {
        "evaluate": ["random"],
        "report": [__file__],
        "tune": ["a3", "--grid", "offset_db=1"],
        "train": ["ppo_shared"],
        "pretrain": ["small"],
        "reproduce": ["wkhm"],
        "render": ["random"],
        "trace": ["import", "."],
    }.get(command, [])


PLACES = [(command, action) for command in COMMANDS for action in _places(command)]
IDS = [f"{command} {action.option_strings[0]}" for command, action in PLACES]


def test_every_argument_that_names_a_place_is_known_as_one():
    found = {(command, action.dest) for command, action in PLACES}
    with_out = {"bench", "evaluate", "report", "tune", "train", "pretrain", "reproduce", "federated", "orchestrate"}
    assert found == {(command, "out") for command in with_out | {"render", "trace"}} | {
        ("evaluate", "html"),
        ("tune", "save"),
    }
    for command in COMMANDS:  # and there is no other of these names
        (commands,) = (a for a in _parser([command])._actions if isinstance(a, argparse._SubParsersAction))
        named = {a.dest for a in commands.choices[command]._actions} & {"out", "html", "save", "json", "csv"}
        assert named == {dest for c, dest in found if c == command}


@pytest.mark.parametrize(("command", "action"), PLACES, ids=IDS)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(command, action, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.npz").mkdir()
    wrong = ["file/x.npz", "file/deep/x.npz", *(["folder.npz"] if action.type is new_file else ["file"])]
    if os.geteuid() and Path("/").is_dir():
        wrong.append("/x.npz")
    others = [a.option_strings[0] for c, a in PLACES if c == command and a is not action and a.required]
    for place in wrong:
        argv = [command, *_asked(command), *(w for name in others for w in (name, "fine.npz"))]
        with pytest.raises(SystemExit) as end:
            main([*argv, action.option_strings[0], place])
        out, err = capsys.readouterr()
        assert end.value.code == 2 and out == "" and len(err.splitlines()) == 1
        assert f"{action.option_strings[0]}: a " in err and repr(place) in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.npz"]


def test_a_file_that_is_read_only_is_refused(tmp_path):
    if not os.geteuid():
        pytest.skip("the superuser may write it")
    (tmp_path / "x").touch(mode=0o400)
    with pytest.raises(argparse.ArgumentTypeError, match="Permission denied"):
        new_file(str(tmp_path / "x"))


def test_places_that_can_be_written_are_taken_and_nothing_is_made(tmp_path):
    (tmp_path / "there").touch()
    for text in ("there", "new", "deep/new"):
        assert new_file(str(tmp_path / text)) == str(tmp_path / text)
    for text in (".", "new", "deep/new"):
        assert new_folder(str(tmp_path / text)) == str(tmp_path / text)
    assert new_file(os.devnull) == os.devnull
    assert [p.name for p in tmp_path.iterdir()] == ["there"]


def test_a_list_of_papers_needs_no_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").touch()
    assert main(["reproduce"]) == 0
    assert "wkhm" in capsys.readouterr().out


def test_against_nobody_and_a_torn_file_of_options_are_refused_before_the_work(tmp_path, monkeypatch, capsys):
    from rangym.evaluation import runner

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "run_grid", None)  # whatever calls it fails
    assert main(["evaluate", "a3", "random", "--scenario", "tiny", "--against", "lda", "--out", "x.jsonl"]) == 2
    assert "against: one of a3, random wanted, got 'lda'" in capsys.readouterr().err
    for content in ("{", "[1]", '{"a3": 3}'):
        (tmp_path / "tuned.json").write_text(content)
        assert main(["tune", "a3", "--grid", "offset_db=1", "--save", "tuned.json"]) == 2
        assert "tuned.json: a file of tuned options, or a new one, wanted" in capsys.readouterr().err
