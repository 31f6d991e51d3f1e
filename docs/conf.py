"""Settings of the manual: make docs."""

from importlib import metadata

project = "coreloss"
author = "the coreloss founders"
release = metadata.version("coreloss")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"coreloss {release}"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings give shapes and units
napoleon_numpy_docstring = True
napoleon_google_docstring = False
