"""How Sphinx builds the site; `docs/build.py` puts the pages together and calls it."""

from rangym import __version__

project = "rangym"
author = "rangym contributors"
release = version = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["html_image"]  # README gives its pictures a width
myst_heading_anchors = 4  # links to headings are checked, too

html_theme = "furo"
html_title = "rangym"
html_show_sphinx = False
html_use_index = False
html_copy_source = False
