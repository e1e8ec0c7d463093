"""The five import packages are installed under their own names: nobody else's distribution may own one."""

from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "ledger", "matcher", "node", "provider_agent")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_owns_one_of_our_packages(package: str) -> None:
    owners = set(packages_distributions().get(package, ()))
    assert owners <= {"bingwang"}


@pytest.mark.parametrize("package", PACKAGES)
def test_init_files_are_empty_so_that_a_name_is_imported_from_where_it_is_defined(package: str) -> None:
    filled = [str(path) for path in (ROOT / package).rglob("__init__.py") if path.read_text().strip()]
    assert filled == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_opens_with_why_it_exists(package: str) -> None:
    modules = [path for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"]
    silent = [str(path) for path in modules if not path.read_text().startswith('"""')]
    assert silent == []
