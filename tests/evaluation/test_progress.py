"""A progress bar is one line of a terminal, and gone when the work is done; without a terminal there is none."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from rangym.evaluation import progress as module

SLOW = """
import time
from rangym.evaluation import progress as p
p.DELAY_S = 0.05
for _ in p.progress((time.sleep(0.12) for _ in range(8)), 8, {title!r}):
    pass
print("done")
"""


def on_terminal(code, columns=60):
    """What the child's stderr writes to a pseudo-terminal, and its stdout."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=child)
    os.close(child)
    seen = b""
    while True:
        try:
            part = os.read(parent, 4096)
        except OSError:  # Linux ends the stream of a closed terminal like this
            break
        if not part:
            break
        seen += part
    os.close(parent)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0
    return seen.decode(), out.decode()


@pytest.mark.parametrize("title", ["lda, small", "a title far longer than the terminal is wide " * 3])
def test_on_a_terminal_the_bar_is_one_line_that_is_cleared(title):
    seen, out = on_terminal(SLOW.format(title=title))
    assert "\n" not in seen and out == "done\n"
    lines = seen.split(module.CLEAR)
    assert lines[0] == lines[-1] == "" and len(lines) >= 6
    assert all(len(line) < 60 for line in lines)
    assert "7/8" in seen and "about" in seen and lines[1].startswith(title[:5])


def test_short_work_shows_no_bar():
    seen, _ = on_terminal(SLOW.format(title="x").replace("p.DELAY_S = 0.05", ""))
    assert seen == ""


NESTED = """
import time
from rangym.evaluation import progress as p
p.DELAY_S = 0.05
for _ in p.progress(range(2), 2, "jobs"):
    for _ in p.progress((time.sleep(0.12) for _ in range(4)), 4, "slots"):
        pass
print("done")
"""


def test_a_bar_inside_another_takes_its_line_for_as_long_as_it_runs():
    seen, out = on_terminal(NESTED)
    assert "\n" not in seen and out == "done\n"
    lines = seen.split(module.CLEAR)
    assert lines[0] == lines[-1] == ""
    titles = [line.partition(" ")[0] for line in lines if line]
    assert titles == ["slots"] * 4 + ["jobs"] + ["slots"] * 4 + ["jobs"]


WORKERS = """
import joblib
from rangym.evaluation import progress as p
def work(k):
    p.DELAY_S = p.EVERY_S = -1.0
    return sum(p.progress(range(3), 3, "slots"))
print(joblib.Parallel(n_jobs=2)(joblib.delayed(work)(k) for k in range(2)))
"""


def test_worker_processes_are_quiet():
    assert on_terminal(WORKERS) == ("", "[3, 3]\n")


def test_without_a_terminal_it_is_quiet():
    run = subprocess.run([sys.executable, "-c", SLOW.format(title="x")], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and run.stderr == "" and run.stdout == "done\n"


def test_an_interrupted_bar_is_cleared_too(monkeypatch):
    written = []
    monkeypatch.setattr(module, "_write", written.append)
    monkeypatch.setattr(module.sys, "stderr", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr(module, "_columns", lambda: 80)
    monkeypatch.setattr(module, "DELAY_S", -1.0)
    monkeypatch.setattr(module, "EVERY_S", -1.0)
    items = module.progress(iter(range(5)), 5, "x")
    next(items), next(items)
    items.close()
    assert written[-1] == module.CLEAR and "1/5" in written[0]
