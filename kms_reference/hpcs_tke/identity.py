"""Which callers the TKE service serves."""

from kms_reference.caller import Identity


def is_manager(identity: Identity) -> bool:
    """Tell whether the identity holds the service role that the TKE service asks for."""
    return any(role.rsplit(":", 1)[-1].casefold() == "manager" for role in identity.roles)
