"""Where commands are to write: what cannot be written is refused before the work."""

import argparse
import os
from pathlib import Path

import pytest

from rangym.cli import COMMANDS, _parser, main
from rangym.evaluation.places import new_file, new_folder


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next((a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)), {})


def _parsers() -> dict[str, argparse.ArgumentParser]:
    """Every command, or each action of one that has actions, in its words."""
    own = {name: _choices(_parser([name]))[name] for name in COMMANDS}
    return {
        words: parser
        for name, command in own.items()
        for words, parser in ({f"{name} {a}": p for a, p in _choices(command).items()} or {name: command}).items()
    }


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
        "map import": ["."],
        "map raytrace": ["munich"],
        "trace import": ["."],
    }.get(command, [])


PLACES = [
    (words, action)
    for words, parser in _parsers().items()
    for action in parser._actions
    if action.type in (new_file, new_folder)  # the arguments that say where a command writes
]
IDS = [f"{command} {action.option_strings[0]}" for command, action in PLACES]


def test_every_argument_that_names_a_place_is_known_as_one():
    found = {(command, action.dest) for command, action in PLACES}
    with_out = {"bench", "evaluate", "report", "tune", "train", "pretrain", "reproduce", "federated", "orchestrate"}
    with_out |= {"render", "map import", "map raytrace", "trace import"}
    assert found == {(words, "out") for words in with_out} | {
        ("evaluate", "html"),
        ("tune", "save"),
        ("map raytrace", "keep"),
    }
    for words, parser in _parsers().items():  # and there is no other of these names
        named = {a.dest for a in parser._actions} & {"out", "html", "save", "json", "csv", "keep"}
        assert named == {dest for c, dest in found if c == words}


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
        argv = [*command.split(), *_asked(command), *(w for name in others for w in (name, "fine.npz"))]
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
