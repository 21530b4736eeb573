"""Build the site: ``python docs/build.py``; the pages are then in build/site, index.html first.

The texts of this folder and README, CONTRIBUTING and CHANGELOG are copied, and the pages that code writes are added:
environments from their classes, their registry entries and the published rows; papers from their claims; commands from
their parsers; the reference from docstrings. Warnings are errors, and so is a link that leads nowhere.
"""

import argparse
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from pages import write_all  # noqa: E402

from rangym.cli.help import HelpFormatter  # noqa: E402

SOURCE, SITE = HERE.parent / "build" / "docs", HERE.parent / "build" / "site"


def main() -> int:
    """Write the sources and the site anew; the exit status is Sphinx's."""
    argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter).parse_args()
    from sphinx.cmd.build import main as sphinx  # only now: help needs no Sphinx

    for folder in (SOURCE, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    written = write_all(SOURCE)
    status = sphinx(["-q", "-W", "--keep-going", "-j", "auto", "-b", "html", "-c", str(HERE), str(SOURCE), str(SITE)])
    if status == 0:
        built = sum(1 for page in SITE.rglob("*.html") if page.name not in ("search.html", "genindex.html"))
        kinds = ", ".join(f"{count} {kind}" for kind, count in written.items())
        print(f"{SITE / 'index.html'}: {built} pages ({kinds})")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
