"""One self-contained HTML file from results: tables, figures, versions, seeds and the command."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from rangym.envs.errors import MissingExtra, WrongValue, printable
from rangym.envs.files import write_whole
from rangym.evaluation.results import Results
from rangym.evaluation.summary import Summary, detail_table, heading, main_table, notes, summarise_all


def check_extra() -> None:
    """Raise `MissingExtra` where matplotlib or Jinja2 is not installed; ask before a long run, not after it."""
    for name in ("matplotlib", "jinja2"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise MissingExtra(f"the HTML report needs {name}: pip install 'rangym[plot]'") from error


def write_html(results: Results, path: str | Path, *, command: str, against: str | None = None) -> Path:
    """Write the report of ``results``, which stands alone: styles and figures are inside, nothing is fetched.

    Raises `MissingExtra` where matplotlib or Jinja2 is not installed, `ValueError` where there is nothing to report.
    """
    check_extra()
    import jinja2

    from rangym.evaluation import plots

    if not results.comparisons:
        raise WrongValue("nothing to report: no trace has a row of every policy")

    def sections(summary: Summary) -> dict[str, Any]:
        figures = [("Reward", plots.reward_plot(summary))]
        if len(summary.policies) > 1:
            figures.append((f"Paired difference to {summary.reference}", plots.difference_plot(summary)))
        if any(line.score for line in summary.policies):
            figures.append(("Normalised score", plots.score_plot(summary)))
        figures.append(("Reward terms", plots.terms_plot(summary)))
        return {
            "heading": heading(summary),
            "title": summary.comparison.title,
            "notes": notes(summary),
            "table": main_table(summary),
            "details": detail_table(summary),
            "figures": figures,
        }

    loader = jinja2.FileSystemLoader(Path(__file__).with_name("templates"))
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, finalize=_printable
    )
    page = environment.get_template("report.html.j2").render(
        comparisons=[sections(summary) for summary in summarise_all(results, against)],
        command=command,
        versions=_versions(results),
        problems=results.problems,
        torn=len(results.torn),
    )
    path = Path(path)
    write_whole(path, page.encode())
    return path


def _printable(value: object) -> object:
    """What a page shows of a value: a name's control characters as escapes."""
    return printable(value) if type(value) is str else value  # figures are marked as safe, which is another type


def _versions(results: Results) -> list[str]:
    """The versions behind the rows: one line, or several where rows come from several."""
    found = {json.dumps({**row["versions"], "code": row["trace_code"]}) for row in results.episodes}
    return sorted(", ".join(f"{name} {version}" for name, version in json.loads(v).items()) for v in found)
