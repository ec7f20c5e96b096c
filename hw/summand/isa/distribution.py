"""This version, and the commands that install more of it."""

import importlib.metadata
import json
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["VERSION", "install_command"]

#: Of the whole distribution; pyproject.toml reads it here.
VERSION = "0.1.0"

#: What pip knows the distribution by. The name of the import and the command is another
#: project's there.
_NAME = "summand-fpga"


def install_command(extra: str) -> str:
    """Return the command that installs an extra from where this Summand came from.

    That is the folder or file that pip installed it from, else the package index; the clone that
    it runs in where it is not installed at all.
    """
    return f"pip install {_requirement(extra)}"


def _requirement(extra: str) -> str:
    try:
        installed = importlib.metadata.distribution(_NAME)
    except importlib.metadata.PackageNotFoundError:
        return f"'{Path(__file__).parents[3]}[{extra}]'"
    # PEP 610: written by the installer, for all that does not come from an index.
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return f"'{_NAME}[{extra}] @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}'"
    url = urlsplit(origin.get("url", ""))
    if url.scheme != "file":
        return f"'{_NAME}[{extra}]'"
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return f"{editable}'{url2pathname(url.path)}[{extra}]'"
