"""``rangym map import``: the ten lines that help and page show work, and what is said of logs that differ."""

import re
from pathlib import Path

import pytest

from rangym.cli import main
from rangym.cli.map_import import SAMPLE
from rangym.envs.cell_association.radio_map import RadioMap

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "drive_logs.md"


def shown_by(capsys, *words) -> str:
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])
    assert left.value.code == 0
    return capsys.readouterr().out


def test_the_ten_lines_of_help_and_page_work_as_printed(tmp_path, monkeypatch, capsys):
    shown = shown_by(capsys, "map", "import")
    description = shown.partition("Import logs")[2]
    assert description.index("time,ue,cell,sinr_db") < description.index("G-NetTrack")
    lines = [line.strip() for line in description.splitlines() if line.count(",") == 5 and line.startswith("  ")][:10]
    assert "\n".join(lines) + "\n" == SAMPLE and len(lines) == 10
    log, commands = re.findall(r"```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert log == SAMPLE
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text(log)
    for command in commands.splitlines():
        program, *words = command.split()
        assert program == "rangym" and main([*words, *["--seeds", "0:2"] * (words[0] == "evaluate")]) == 0
    out = capsys.readouterr().out
    assert "rows read: 9\n" in out and "rows kept: 9, UEs: 2, step: 1 s" in out and "lda" in out
    assert RadioMap.load("map.npz").cell_name.tolist() == ["north", "south"]


def test_the_former_name_has_the_same_options(capsys):
    def options(*words):
        return set(re.findall(r"--[a-z-]+", shown_by(capsys, *words).partition("example")[0]))

    assert options("trace", "import") == options("map", "import") > {"--kind", "--columns", "--tolerance", "--kpis"}


def test_options_reach_the_reader_and_what_became_of_the_rows_is_printed(tmp_path, capsys):
    text = SAMPLE.replace("time,ue,cell", "when,ue,eci").replace("bus", "büs") + "3,tram,north,bad,1,1\n4,tram,,2,1,1\n"
    text = text.replace("y_m\n", "y_m,plmn,band\n").replace("0\n", "0,1,3\n").replace("1\n", "1,1,3\n")
    (tmp_path / "log.txt").write_bytes(text.replace(",", "\t").encode("cp1252"))
    call = ["trace", "import", str(tmp_path / "log.txt"), "--out", str(tmp_path / "map.npz")]
    assert main(call) == 2 and "--encoding), such as cp1252" in capsys.readouterr().err
    call += ["--encoding", "cp1252"]
    assert main(call) == 2 and "other names by columns (--columns)" in capsys.readouterr().err
    call += ["--columns", "time=When,cell=eci"]
    assert main(call) == 2 and "row 11, column sinr_db: " in capsys.readouterr().err
    assert main([*call, "--tolerance", "0.1"]) == 0
    out = capsys.readouterr().out
    for line in (
        "files: 1",
        "rows read: 11",
        "files cp1252, separated by TAB: 1",
        "dropped: no cell or no SINR: 1",
        "columns not used: plmn, band",
    ):
        assert line in out.splitlines()
    assert "skipped: sinr_db: a number of at least -100 and of at most 100 dB or '-' wanted: 1\n" in out
    with pytest.raises(SystemExit):
        main([*call, "--tolerance", "1"])
    assert "--tolerance: a number of at least 0 and below 1 wanted" in capsys.readouterr().err
