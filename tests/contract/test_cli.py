"""The command line: help of every command, one-line errors, and the commands themselves on the smallest scenario."""

import importlib
import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

import rangym
from rangym.cli import COMMANDS, bench, main
from rangym.evaluation import Results
from rangym.policies import names

CELL = "rangym/CellAssociation-v0"


def call(*argv):
    """Exit status of ``rangym ...``."""
    try:
        return main(list(argv))
    except SystemExit as end:  # argparse's own way out
        return end.code


@pytest.mark.parametrize("command", COMMANDS)
def test_help_describes_and_shows_an_example(command, capsys):
    assert call(command, "--help") == 0
    text = capsys.readouterr().out
    assert f"usage: rangym {command}" in text
    assert "example:\n  rangym" in text


ACTIONS = [(name, action) for name in ("map", "trace") for action in importlib.import_module(COMMANDS[name][0]).ACTIONS]


@pytest.mark.parametrize("columns", [200, 80])
def test_help_is_at_most_80_columns_wide(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    for argv in ([], *([command] for command in COMMANDS), *ACTIONS):
        assert call(*argv, "--help") == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) > 5 and [line for line in lines if len(line) > 80] == [], argv


def test_an_example_in_several_lines_is_the_same_command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    for command, (module, _) in COMMANDS.items():
        call(command, "--help")
        shown = capsys.readouterr().out.partition("example:\n")[2]
        given = importlib.import_module(module).EXAMPLE
        joined = [shlex.split(text.replace("\\\n", " ")) for text in (shown, given)]
        assert joined[0] == joined[1] != []


def test_examples_name_real_arguments(capsys):
    """Every example's options exist in its command's help."""
    for command, (module, _) in COMMANDS.items():
        call(command, "--help")
        text = capsys.readouterr().out
        for line in importlib.import_module(module).EXAMPLE.splitlines():
            if line.split()[1] == command:
                assert all(option in text for option in re.findall(r"--[a-z-]+", line)), line


def test_help_lists_every_command(capsys):
    assert call("--help") == 0
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)


def test_version(capsys):
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


def test_python_m_rangym_is_the_same_program():
    done = subprocess.run([sys.executable, "-m", "rangym", "evaluate", "nobody"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("rangym evaluate: error: policy: one of") and "Traceback" not in done.stderr


WRONG = [
    ([], "COMMAND"),
    (["evalute"], "evaluate"),
    (["evaluate"], "POLICY"),
    (["evaluate", "max_snr"], "did you mean 'max_sinr'"),
    (["evaluate", "k_means"], "'k_means' is for rangym/NodePlacement-v0 (--env NodePlacement)"),
    (["evaluate", "max_sinr", "--scenario", "smal"], "did you mean 'small'"),
    (["evaluate", "max_sinr", "--env", "CellAsociation"], "did you mean 'CellAssociation'"),
    (["evaluate", "max_sinr", "--set", "num_user=3"], "did you mean 'num_ues'"),
    (["evaluate", "max_sinr", "--set", "num_ues"], "KEY=VALUE"),
    (["evaluate", "max_sinr", "--set", "num_ues=many"], "num_ues: an integer"),
    (["evaluate", "max_sinr", "--set", "horizon=0"], "horizon"),
    (["evaluate", "max_sinr", "--seeds", "10000:10002"], "kept for tuning"),
    (["evaluate", "max_sinr", "--seeds", "20000"], "training of agent 0"),
    (["evaluate", "max_sinr", "--seeds", "-1:2"], "--seeds"),
    (["evaluate", "max_sinr", "--seeds", "five"], "FIRST:END"),
    (["evaluate", "max_sinr", "--workers", "0"], "workers"),
    (["evaluate", "max_sinr", "--workers", "two"], "--workers"),
    (["evaluate", "a3:offset=3"], "did you mean 'offset_db'"),
    (["evaluate", "a3:offset_db"], "KEY=VALUE"),
    (["evaluate", "a3:hysteresis_db=-1"], "hysteresis_db"),
    (["evaluate", "max_sinr", "--scenario", "tiny", "--no-bounds", "--against", "a3"], "--against: one of"),
    (["evaluate", "a3", "a3:offset_db=6", "--against", "a3:offset=6"], "did you mean 'a3:offset_db=6'"),
    (["evaluate", "max_sinr", "--scenario", "measured"], "map"),
    (["evaluate", "max_sinr", "--typo"], "unrecognized arguments: --typo (see rangym evaluate --help)"),
    (["trace", "import", ".", "--out", "x.npz", "more"], "more (see rangym trace import --help)"),
    (["evaluate", "local_onlin", "--env", "QosClustering"], "(19 in all)"),
    (["bench", "--map", "no/such.npz"], "rangym map import"),
    (["report", "no/such.jsonl"], "no such results file"),
    (["tune", "a3", "--grid", "offset_db"], "KEY=VALUE"),
    (["tune", "a3", "--grid", "offset=1,2"], "did you mean 'offset_db'"),
    (["tune", "a3"], "--grid"),
    (["tune", "a3", "--grid", "offset_db=1", "--seeds", "0:4"], "tuning seeds"),
    (["tune", "a3", "--grid", "offset_db=1", "--set", "horizon=5", "--save", "t.json"], "--save"),
    (["render", "a3", "--out", "x.png"], ".gif"),
    (["render", "a3", "--out", "x.gif", "--slots", "0"], "--slots"),
    (["render", "a3", "--out", "x.gif", "--fps", "1000"], "--fps: an integer of at least 1 and of at most 50 wanted"),
    (["render", "a3", "--out", "x.gif", "--seed", "-1"], "--seed: an integer of at least 0 wanted, got -1"),
    (["render", "nobody", "--out", "x.gif"], "nobody"),
    (["train", "ppo_shared", "--out", "x", "--seed", "-1"], "--seed: an integer of at least 0 wanted, got -1"),
    (["train", "ppo_shared", "--out", "x", "--steps", "0"], "--steps: an integer of at least 1 wanted, got 0"),
    (["train", "ppo_shared", "--out", "x", "--steps", "1e6"], "--steps: an integer of at least 1 wanted, got '1e6'"),
    (["pretrain", "small", "--out", "x", "--epochs", "0"], "--epochs: an integer of at least 1 wanted, got 0"),
    (["trace", "export", "x", "--out", "y.npz"], "import"),
    (["trace", "import", "no/such/logs", "--out", "y.npz"], "no/such/logs"),
    (["trace", "import", ".", "--out", "y.csv"], ".npz"),
    (
        ["trace", "import", ".", "--kind", "qos", "--cells", "5", "--out", "y.npz"],
        "--cells: used with --kind radio only",
    ),
    (["trace", "import", ".", "--kpis", "a_ms,b_ms,c_ms", "--out", "y.npz"], "--kpis: used with --kind qos only"),
    (["trace", "import", ".", "--jitter-is-sum", "--out", "y.npz"], "--jitter-is-sum: used with --kind qos only"),
    (["trace", "import", ".", "--kind", "qos", "--columns", "t_s", "--out", "y.npz"], "OURS=THEIRS,... "),
    (["trace", "import", ".", "--kind", "qos", "--kpis", "latency", "--out", "y.npz"], "did you mean 'latency_ms'"),
    (["trace", "import", "no/such", "--kind", "qos", "--out", "y.npz"], "no/such: no such file or folder"),
    (["evaluate", "random", "--env", "QosClustering", "--scenario", "imported"], "rangym map import LOGS --kind qos"),
    (
        ["trace", "import", ".", "--kind", "qos", "--period", "nan", "--out", "y.npz"],
        "--period: a number above 0 wanted",
    ),
    (["trace", "import", ".", "--kind", "qos", "--label-delay", "0", "--out", "y.npz"], "--label-delay: an integer of"),
    (["cluster", "no/such.npz"], "no/such.npz"),
    (["cluster", "no/such.npz", "--lam", "inf"], "--lam: a number of at least 0 wanted, got inf"),
    (["cluster", "no/such.npz", "--beta", "1e300"], "--beta: a number of at least 0, of at most 1e+09 wanted"),
    (["cluster", "no/such.npz", "--rho", "0"], "--rho: a number above 0 wanted, got 0.0"),
    (["cluster"], "FILE.npz"),
    (["pretrain", "small", "--days", "no/such.npz", "--out", "x"], "no/such.npz"),
    (["reproduce", "no_paper"], "no_paper"),
    (["list", "--env", "Nowhere"], "Nowhere"),
]


@pytest.mark.parametrize(("argv", "says"), WRONG, ids=[" ".join(argv) or "nothing" for argv, _ in WRONG])
def test_wrong_calls_give_one_line_and_exit_2(argv, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*argv) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert len(err.strip().splitlines()) == 1 and err.startswith("rangym")
    assert out == "" and list(tmp_path.iterdir()) == []  # nothing was done


def test_list_names_everything(capsys):
    assert call("list") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in [*names(CELL), "small", "measured", "oracle", "10 ues, 6 cells, 200 slots"])


def test_evaluate_then_report(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = ["evaluate", "max_sinr", "a3", "random", "--scenario", "tiny", "--seeds", "0:4", "--out", "x.jsonl"]
    assert call(*argv, "--set", "handover_weight=5", "--no-bounds") == 0
    first = capsys.readouterr().out
    assert "tiny (handover_weight=5): 4 traces of 20 slots" in first
    assert "12 jobs run" in first
    assert call(*argv, "--set", "handover_weight=5", "--no-bounds") == 0
    second = capsys.readouterr().out
    assert "0 jobs run" in second
    assert second.splitlines()[:8] == first.splitlines()[:8]
    rows = [json.loads(line) for line in open("x.jsonl")]
    assert len(rows) == 12 and {row["overrides"]["handover_weight"] for row in rows} == {5}
    assert call("report", "x.jsonl", "--out", "r.html", "--details") == 0
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert "ping_pong" in capsys.readouterr().out


def test_torn_lines_are_told(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = ["evaluate", "max_sinr", "--scenario", "tiny", "--seeds", "0:3", "--out", "x.jsonl", "--no-bounds"]
    assert call(*argv) == 0
    whole = (tmp_path / "x.jsonl").read_bytes()
    (tmp_path / "x.jsonl").write_bytes(whole[:-9])
    capsys.readouterr()
    assert call(*argv) == 0
    out, err = capsys.readouterr()
    assert "1 job run, 3 episodes in" in out and "1 line(s) of x.jsonl are no rows of this command" in err


def test_tune_saves_only_when_told(tmp_path, capsys):
    file = tmp_path / "tuned.json"
    argv = ["tune", "a3", "--scenario", "tiny", "--grid", "offset_db=3,15", "--seeds", "10000:10004"]
    assert call(*argv) == 0
    assert "best: offset_db=" in capsys.readouterr().out
    assert not file.exists()
    assert call(*argv, "--save", str(file)) == 0
    assert json.loads(file.read_text())["a3"]["tiny"]["options"]["offset_db"] in (3, 15)


def test_render_writes_a_moving_gif(tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    assert call("render", "a3", "--scenario", "tiny", "--slots", "3", "--out", "a.gif") == 0
    assert image.open(tmp_path / "a.gif").n_frames == 3
    assert (
        call("render", "a3", "--scenario", "tiny", "--slots", "7", "--every", "3", "--width", "200", "--out", "b.gif")
        == 0
    )
    small = image.open(tmp_path / "b.gif")
    assert (small.n_frames, small.size) == (3, (200, 112))  # after slots 1, 4 and 7


def test_a_gif_keeps_rare_colours(tmp_path):
    """Small dots with soft edges and a whole gradient share one palette."""
    image = pytest.importorskip("PIL.Image")
    from rangym.evaluation.film import write_gif

    frame = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], 256, axis=0).repeat(3, axis=2)
    moved = frame.copy()
    soft = np.minimum(np.hypot(*np.mgrid[-4:5, -4:5]) / 4, 1)[..., None]
    frame[10:19, 10:19] = soft * 255 + (1 - soft) * np.array([220, 20, 20])
    moved[30:39, 30:39] = soft * 255 + (1 - soft) * np.array([20, 20, 220])
    film = image.open(write_gif([frame, moved], tmp_path / "a.gif"))
    shown = np.asarray(film.convert("RGB")).astype(int)
    film.seek(1)
    later = np.asarray(film.convert("RGB")).astype(int)
    assert np.abs(shown[100] - frame[100]).max() <= 6  # the gradient
    assert np.abs(shown[14, 14] - (220, 20, 20)).max() <= 6 and np.abs(later[34, 34] - (20, 20, 220)).max() <= 6
    assert np.ptp(shown[34, 34]) <= 8 and np.ptp(later[14, 14]) <= 8  # grey where no dot is


@pytest.fixture
def small_bench(monkeypatch):
    from rangym.evaluation import Benchmark, cards

    tiny = Benchmark(CELL, "tiny", range(2), policies=("max_sinr", "random"), variants=("a3:offset_db=6",))
    monkeypatch.setattr(cards, "benchmarks", lambda which: [tiny])


def test_bench_runs_its_tables(tmp_path, capsys, small_bench):
    out = str(tmp_path / "o")
    assert call("bench", "--out", out, "--workers", "1") == 0
    text = capsys.readouterr().out
    assert "a3:offset_db=6" in text and f"report: {out}/bench.html" in text
    assert "8 jobs run" in text  # 2 seeds x (3 policies and the bound)
    assert call("bench", "--out", out, "--workers", "1") == 0
    assert "\n0 jobs run" in capsys.readouterr().out
    assert call("bench", "--out", out, "--workers", "1", "--fresh") == 0
    assert "8 jobs run" in capsys.readouterr().out
    assert call("bench", "--out", out, "--workers", "1", "--published") == 0
    assert "README's rows: " in (text := capsys.readouterr().out) and "README's table" not in text
    assert len(Results.load(tmp_path / "o" / "published.jsonl").episodes) == 6


def test_bench_says_whether_the_published_rows_are_of_this_code(tmp_path, capsys, monkeypatch, small_bench):
    monkeypatch.setattr(bench, "PUBLISHED", tmp_path / "kept.jsonl")
    assert call("bench", "--out", str(tmp_path), "--workers", "1", "--published") == 0
    lines = (tmp_path / "published.jsonl").read_text().splitlines()
    (tmp_path / "kept.jsonl").write_text("\n".join(lines))
    assert call("bench", "--out", str(tmp_path), "--workers", "1") == 0
    assert "README's table was made by this code" in capsys.readouterr().out
    changed = [line.replace('"key": "', '"key": "f', 1) for line in lines[:3]]
    (tmp_path / "kept.jsonl").write_text("\n".join([*changed, *lines[3:]]))
    assert call("bench", "--out", str(tmp_path), "--workers", "1") == 0
    assert "by other code for 3 of these 8 rows" in capsys.readouterr().out


def test_bench_without_the_plot_extra_prints_tables_and_what_to_install(tmp_path, capsys, monkeypatch, small_bench):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert call("bench", "--out", str(tmp_path), "--workers", "1") == 0
    text = capsys.readouterr().out
    assert "max_sinr" in text and "pip install 'rangym[plot]'" in text
    assert call("evaluate", "random", "--scenario", "tiny", "--html", str(tmp_path / "x.html")) == 2
    assert "pip install 'rangym[plot]'" in capsys.readouterr().err


def test_bench_covers_every_environment_and_all_policies():
    from rangym.envs.registration import OURS
    from rangym.evaluation.cards import benchmarks

    assert {table.env_id for table in benchmarks() if table.policies is None} == set(OURS)
    assert len(benchmarks("full")) > len(benchmarks())


def test_errors_that_the_caller_cannot_mend_keep_their_traceback(monkeypatch):
    from rangym.evaluation import runner

    def broken(*_, **__):
        raise ValueError("a fault of ours")

    monkeypatch.setattr(runner, "run_grid", broken)
    with pytest.raises(ValueError, match="a fault of ours"):
        main(["evaluate", "random", "--scenario", "tiny"])


def test_map_import_of_kpi_logs_gives_days_that_evaluate_takes(kpi_logs, tmp_path, capsys):
    kpi_logs.write_csv(tmp_path / "logs" / "log.csv", kpi_logs.kpi_rows())
    days = str(tmp_path / "days.npz")
    assert call("map", "import", str(tmp_path / "logs"), "--kind", "qos", "--out", days) == 0
    lines = capsys.readouterr().out.splitlines()
    for line in ("files: 1", "rows read: 5,760", "rows kept: 5,760", "periods: 60", "cells: 4", "carried forward: 0"):
        assert line in lines
    assert any(line.startswith("absent: ") for line in lines)
    asked = ("--env", "QosClustering", "--scenario", "imported", "--set", f"days={days}", "--seeds", "0:2")
    assert call("evaluate", "greedy_smoothed", "random", *asked) == 0
    assert "20 slots" in capsys.readouterr().out
    assert call("trace", "import", str(tmp_path / "logs"), "--kind", "qos", "--period", "9000", "--out", days) == 2
    out, err = capsys.readouterr()
    assert "rows read: 5,760" in out and "at least 22 periods of 9000 s" in err  # the account first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["days.npz", "logs"]


def _interrupted(*_, **__):
    raise KeyboardInterrupt


def test_an_interrupt_promises_no_rows_where_none_are_kept(monkeypatch, tmp_path, capsys):
    from rangym.envs.qos_clustering import kpi_logs
    from rangym.evaluation import runner

    monkeypatch.setattr(kpi_logs, "read_logs", _interrupted)
    monkeypatch.setattr(runner, "run_grid", _interrupted)
    out = str(tmp_path / "x.jsonl")
    for argv, says in (
        (["map", "import", ".", "--kind", "qos", "--out", str(tmp_path / "days.npz")], "nothing was written"),
        (["evaluate", "random", "--scenario", "tiny"], "nothing was kept; with --out finished rows are"),
        (["evaluate", "random", "--scenario", "tiny", "--out", out], f"finished rows are in {out}, and the same"),
        (["bench", "--out", str(tmp_path), "--fresh"], "the same command without --fresh goes on from them"),
        (["reproduce", "wkhm", "--out", str(tmp_path)], f"finished rows are below {tmp_path}, and the same command"),
    ):
        if argv[0] == "reproduce":
            monkeypatch.setattr("rangym.evaluation.papers.reproduce.run_grid", _interrupted)
        assert call(*argv) == 130
        command = " ".join(argv[: 2 if argv[0] == "map" else 1])
        assert f"rangym {command}: interrupted; " in (err := capsys.readouterr().err) and says in err
    assert not list(tmp_path.iterdir())


def test_an_interrupted_training_says_how_to_go_on_and_that_works(monkeypatch, tmp_path, capsys):
    from rangym.baselines import learner

    argv = ["train", "ppo_shared", "--steps", "1", "--quiet", "--out", str(tmp_path / "my run")]
    monkeypatch.setattr(sys, "argv", ["rangym", *argv])
    with monkeypatch.context() as patched:
        patched.setattr(learner.Learner, "measure", _interrupted)
        assert call(*argv) == 130  # before the first checkpoint
    assert "no checkpoint" in (err := capsys.readouterr().err) and "the same command starts again" in err
    with monkeypatch.context() as patched:
        patched.setattr(learner, "save_agents", _interrupted)
        assert call(*argv) == 130
    again = capsys.readouterr().err.splitlines()[-1].partition("goes on from its last checkpoint with: ")[2]
    assert call(*shlex.split(again)[1:]) == 0
    assert "use it as the policy" in capsys.readouterr().out


def test_help_says_that_a_checkpoint_is_code(capsys):
    assert call("train", "--help") == 0
    assert "reading it runs code in it (a pickle), so resume runs of your own only" in " ".join(
        capsys.readouterr().out.split()
    )


def test_list_needs_no_compiler():
    code = "import sys; sys.modules['numba'] = None; from rangym.cli import main; main(['list'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (sb3, *_) = (line for line in done.stdout.splitlines() if line.startswith("sb3 "))
    assert sb3.split()[1:3] == ["agent", "observation"]


def test_help_of_evaluate_names_the_folder_of_kept_days(capsys):
    from rangym.envs.qos_clustering.days import FOLDER_VARIABLE

    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert FOLDER_VARIABLE in capsys.readouterr().out


def test_what_trace_import_says_to_use_its_days_with_runs_as_it_stands(kpi_logs, tmp_path, capsys, monkeypatch):
    """Also with fewer cells than the scenario has heads, and another label delay."""
    monkeypatch.chdir(tmp_path)
    kpi_logs.write_csv(tmp_path / "log.csv", kpi_logs.kpi_rows(periods=24, cells=2))
    assert call("trace", "import", "log.csv", "--kind", "qos", "--label-delay", "3", "--out", "days.npz") == 0
    out = capsys.readouterr().out
    command = out.split("use it with: rangym ")[1].splitlines()[0]
    assert command.endswith("--set days=days.npz --set label_delay=3 --set num_heads=2")
    assert call(*command.split(), "--seeds", "0:2") == 0


def test_differences_are_to_the_policy_as_it_was_asked_for(capsys):
    command = ["evaluate", "max_sinr", "a3:tuned", "--scenario", "small", "--set", "horizon=3", "--seeds", "0:2"]
    label = {}
    for against in ("max_sinr", "a3:tuned", "a3", "a3:filter_coefficient=11,offset_db=10,time_to_trigger=1"):
        assert main([*command, "--no-bounds", "--against", against]) == 0
        label[against] = re.search(r"difference: paired, to (\S+);", capsys.readouterr().out).group(1)
    assert (
        set(label.values()) == {"max_sinr", "a3:filter_coefficient=11,offset_db=10,time_to_trigger=1"}
        and label["max_sinr"] == "max_sinr"
    )


def test_a_wrong_policy_to_compare_with_is_refused_before_any_episode(monkeypatch, capsys):
    monkeypatch.setattr("rangym.evaluation.evaluate", lambda *_, **__: pytest.fail("episodes were played"))
    for asked in (["max_sinr"], ["a3:offset_db=4", "a3:offset_db=6"]):
        assert main(["evaluate", *asked, "--scenario", "tiny", "--against", "a3"]) == 2
        assert "--against: one of" in capsys.readouterr().err
