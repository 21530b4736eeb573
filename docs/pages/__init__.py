"""The pages that code writes, one module a kind."""

from pathlib import Path

from pages import commands, environments, papers, reference, texts


def write_all(folder: Path) -> dict[str, int]:
    """Write the sources of every page into ``folder``; returns how many pages there are of each kind."""
    index = reference.Index()
    return {
        "texts": texts.write(folder),
        "environments": environments.write(folder, index),
        "papers and studies": papers.write(folder),
        "commands": commands.write(folder),
        "modules": reference.write(folder, index),
    }
