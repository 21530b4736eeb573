"""An interrupted command says what is left of it and how to go on."""

import shlex
import sys


def _interrupted(*_, **__):
    raise KeyboardInterrupt


def test_an_interrupt_promises_no_rows_where_none_are_kept(monkeypatch, tmp_path, capsys, call):
    from rangym.envs.qos_clustering import kpi_logs
    from rangym.evaluation import runner

    monkeypatch.setattr(kpi_logs, "read_logs", _interrupted)
    monkeypatch.setattr(runner, "run_grid", _interrupted)
    out, begun = str(tmp_path / "x.jsonl"), str(tmp_path / "begun.jsonl")
    (tmp_path / "begun.jsonl").write_text("{}")
    for argv, says in (
        (["map", "import", ".", "--kind", "qos", "--out", str(tmp_path / "days.npz")], "nothing was written"),
        (["evaluate", "random", "--scenario", "tiny"], "nothing was kept; with --out finished rows are"),
        (["evaluate", "random", "--scenario", "tiny", "--out", out], "no row was finished"),
        (["evaluate", "random", "--scenario", "tiny", "--out", begun], f"finished rows are in {begun}, and the same"),
        (["bench", "--out", str(tmp_path), "--fresh"], "the same command without --fresh goes on from them"),
        (["reproduce", "wkhm", "--out", str(tmp_path)], f"finished rows are below {tmp_path}, and the same command"),
    ):
        if argv[0] == "reproduce":
            monkeypatch.setattr("rangym.evaluation.papers.reproduce.run_grid", _interrupted)
        assert call(*argv) == 130
        command = " ".join(argv[: 2 if argv[0] == "map" else 1])
        assert f"rangym {command}: interrupted; " in (err := capsys.readouterr().err) and says in err
    assert [p.name for p in tmp_path.iterdir()] == ["begun.jsonl"]


def test_an_interrupted_training_says_how_to_go_on_and_that_works(monkeypatch, tmp_path, capsys, call):
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
