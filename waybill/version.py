"""The version of this package."""

from importlib.metadata import version
from typing import Final

__version__: Final = version("waybill")
