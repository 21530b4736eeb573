"""Wrong calls of commands give one line and change nothing."""

import subprocess
import sys

import pytest

from rangym.cli import main

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
def test_wrong_calls_give_one_line_and_exit_2(argv, says, capsys, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    assert call(*argv) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert len(err.strip().splitlines()) == 1 and err.startswith("rangym")
    assert out == "" and list(tmp_path.iterdir()) == []  # nothing was done


def test_python_m_rangym_is_the_same_program():
    done = subprocess.run([sys.executable, "-m", "rangym", "evaluate", "nobody"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("rangym evaluate: error: policy: one of") and "Traceback" not in done.stderr


def test_a_wrong_policy_to_compare_with_is_refused_before_any_episode(monkeypatch, capsys):
    monkeypatch.setattr("rangym.evaluation.evaluate", lambda *_, **__: pytest.fail("episodes were played"))
    for asked in (["max_sinr"], ["a3:offset_db=4", "a3:offset_db=6"]):
        assert main(["evaluate", *asked, "--scenario", "tiny", "--against", "a3"]) == 2
        assert "--against: one of" in capsys.readouterr().err


def test_errors_that_the_caller_cannot_mend_keep_their_traceback(monkeypatch):
    from rangym.evaluation import runner

    def broken(*_, **__):
        raise ValueError("a fault of ours")

    monkeypatch.setattr(runner, "run_grid", broken)
    with pytest.raises(ValueError, match="a fault of ours"):
        main(["evaluate", "random", "--scenario", "tiny"])
