"""Files of finished cells, which a later run goes on with; nothing here needs torch."""

from .cell_file import CellFile, check_folder
from .kinds import CrosscheckFile, SuiteFile, WinsFile

__all__ = ["CellFile", "CrosscheckFile", "SuiteFile", "WinsFile", "check_folder"]
