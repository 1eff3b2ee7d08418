"""The version, read from the installed distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("dlm")
except PackageNotFoundError:  # imported from a checkout that is not installed
    VERSION = "0+unknown"
