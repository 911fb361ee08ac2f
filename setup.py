"""The packages of the wheel: found in the folders, so that none is forgotten; pyproject.toml has everything else."""

import warnings

from setuptools import find_namespace_packages, setup

# An editable install that maps folders is told to beware of folders of the package's own name in the working directory:
# here these are the same files.
warnings.filterwarnings("ignore", message="Editable installation")

# Folders of the checkout -> packages of the wheel.
MAPPED = {
    "kms_conformance.contracts": "contracts",
    "kms_conformance.schemas": "schemas",
    "kms_conformance.scenarios": "scenarios",
    "kms_conformance.reports": "reports",
}
OWN = ("kms_conformance", "kms_reference")
LEFT_OUT = ("*__pycache__*", "out", "out.*", "sample", "sample.*")


def packages() -> list[str]:
    """Return every folder that holds modules or data, under the name that it has in the wheel."""
    found = [f"{own}{name}" for own in OWN for name in ["", *(f".{sub}" for sub in _below(own))]]
    for package, folder in MAPPED.items():
        found += [package, *(f"{package}.{sub}" for sub in _below(folder))]
    return found


def _below(folder: str) -> list[str]:
    return find_namespace_packages(folder, exclude=LEFT_OUT)


setup(packages=packages())
