"""Help of every command: what it shows, how wide it is, and that it is quick."""

import importlib
import re
import shlex
import subprocess
import sys

import pytest

import rangym
from rangym.cli import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_help_describes_and_shows_an_example(command, capsys, call):
    assert call(command, "--help") == 0
    text = capsys.readouterr().out
    assert f"usage: rangym {command}" in text
    assert "example:\n  rangym" in text


ACTIONS = [(name, action) for name in ("map", "trace") for action in importlib.import_module(COMMANDS[name][0]).ACTIONS]


@pytest.mark.parametrize("columns", [200, 80])
def test_help_is_at_most_80_columns_wide(columns, capsys, monkeypatch, call):
    monkeypatch.setenv("COLUMNS", str(columns))
    for argv in ([], *([command] for command in COMMANDS), *ACTIONS):
        assert call(*argv, "--help") == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) > 5 and [line for line in lines if len(line) > 80] == [], argv


def test_an_example_in_several_lines_is_the_same_command(capsys, monkeypatch, call):
    monkeypatch.setenv("COLUMNS", "60")
    for command, (module, _) in COMMANDS.items():
        call(command, "--help")
        shown = capsys.readouterr().out.partition("example:\n")[2]
        given = importlib.import_module(module).EXAMPLE
        joined = [shlex.split(text.replace("\\\n", " ")) for text in (shown, given)]
        assert joined[0] == joined[1] != []


def test_examples_name_real_arguments(capsys, call):
    """Every example's options exist in its command's help."""
    for command, (module, _) in COMMANDS.items():
        call(command, "--help")
        text = capsys.readouterr().out
        for line in importlib.import_module(module).EXAMPLE.splitlines():
            if line.split()[1] == command:
                assert all(option in text for option in re.findall(r"--[a-z-]+", line)), line


def test_help_lists_every_command(capsys, call):
    assert call("--help") == 0
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)


def test_version(capsys, call):
    assert call("--version") == 0
    assert capsys.readouterr().out.strip() == f"rangym {rangym.__version__}"


def test_help_is_fast_because_commands_import_lazily():
    code = (
        "import sys; from rangym.cli import main\n"
        "try: main(['evaluate', '--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'matplotlib', 'numba', 'sklearn', 'jinja2', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_help_says_that_a_checkpoint_is_code(capsys, call):
    assert call("train", "--help") == 0
    assert "reading it runs code in it (a pickle), so resume runs of your own only" in " ".join(
        capsys.readouterr().out.split()
    )


def test_help_of_evaluate_names_the_folder_of_kept_days(capsys):
    from rangym.envs.qos_clustering.days import FOLDER_VARIABLE

    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert FOLDER_VARIABLE in capsys.readouterr().out
