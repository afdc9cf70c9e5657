"""The site: Markdown pages, and the lessons, which the build runs.

    python -m sphinx -W --keep-going -b html docs build/site

The pages are written for two readers, this site and a browser of the repository: links
go to files, and `_site/links.py` sends those that mean something else here to it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
os.environ.setdefault("MPLBACKEND", "Agg")

from minikeras.version import __version__  # noqa: E402

project = "minikeras"
author = "the minikeras maintainers"
copyright = "the minikeras maintainers; MIT licence"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "_site.formulas",
    "_site.links",
    "_site.reference",
    "_site.before_and_after",
]
exclude_patterns = ["lessons", "_site", "**/README.txt", "learn/sg_execution_times.rst"]
nitpicky = True
default_role = "code"  # `x` in the lessons is code, as in Markdown
highlight_language = "none"
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

sphinx_gallery_conf = {
    "examples_dirs": ["lessons"],
    "gallery_dirs": ["learn"],  # made by the build, as is everything in it
    "filename_pattern": r"/\d\d_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "only_warn_on_example_error": False,
    "capture_repr": (),  # a lesson prints what it shows
    "reset_modules": ("matplotlib", "_site.lessons.begin"),
    "min_reported_time": 600,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
}

html_theme = "furo"
html_math_renderer = "mathml"
html_title = "minikeras"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"font-stack--monospace": "ui-monospace, monospace"},
    "navigation_with_keys": True,
}
