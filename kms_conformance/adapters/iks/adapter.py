"""Kubernetes Service as a case of its contract sees it: the ``iks`` of a case."""

from kms_conformance.adapters.iks.clusters import Clusters
from kms_conformance.adapters.iks.credentials import Credential
from kms_conformance.adapters.iks.sequences import Sequence

__all__ = ["Credential", "KubernetesService"]


class KubernetesService(Clusters):
    """One account's credentials and clusters, seen by one identity in one region and resource group."""

    def sequence(self, name: str, *, faults: bool = False, part: tuple[int, int] = (1, 1)) -> Sequence:
        """Return a drawn sequence of operations in three places, the same one for the same name and ``part``."""
        return Sequence(self, name, faults=faults, part=part)
