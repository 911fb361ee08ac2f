"""Which callers the network policies allow: sections 32 and 36."""

from kms_conformance.api import covers, impact, needs

ELSEWHERE = "203.0.113.77"  # from a range that RFC 5737 reserves for documentation
FURTHER = ("198.51.100.77", "2001:db8::77")  # from the other ranges that RFC 5737 reserves
PRIVATE = "10.11.12.13"


@covers("feature-restricted-err")
@needs(capability="allowed_ip")
@impact("allowed-ip")
def test_allowed_ip_on_this_account(kms):
    """Setting the allowedIP policy is refused where the feature is not enabled for the account."""
    kms.instance_policy_control()
    policy = kms.set_instance_policy("allowedIP", allowed_ip=kms.everywhere_but_here())
    policy.is_refused("FEATURE_RESTRICTED_ERR")


@covers("unauthorized-err-allowed-ip", "precedence-p3")
@needs(control=True, capability=("allowed_ip", "faults"))
@impact("allowed-ip")
def test_caller_from_elsewhere(kms):
    """With an allowedIP policy, callers from other addresses are refused; callers from allowed ones are not."""
    elsewhere = kms.from_address(ELSEWHERE)
    elsewhere.list_keys(limit=1).succeeds(200)
    kms.restrict_addresses(kms.everywhere_but_here()).succeeds(204)
    kms.list_keys(limit=1).succeeds(200)
    for let_in in FURTHER:
        kms.from_address(let_in).list_keys(limit=1).succeeds(200)
    elsewhere.list_keys(limit=1).is_refused("UNAUTHORIZED_ERR")
    elsewhere.create_key().is_refused(
        "UNAUTHORIZED_ERR", control=kms.create_key().succeeds(201), requirement="precedence-p3"
    )
    kms.set_instance_policy("allowedIP", enabled=False).succeeds(204)
    elsewhere.list_keys(limit=1).succeeds(200)


@covers("unauthorized-err-allowed-ip", "allowed-ip-port-while-active")
@needs(capability="allowed_ip")
@impact("allowed-ip")
def test_locked_out(kms):
    """The page's own sequence: after an allowedIP policy names other addresses, the caller is refused."""
    inside, port, row = kms.rescue(), "resources.0.private_endpoint_port", "allowed-ip-port-while-active"
    kms.list_keys(limit=1).succeeds(200)
    inside.restrict_addresses(["65.128.226.0/24"]).succeeds(204)
    kms.list_keys(limit=1).is_refused("UNAUTHORIZED_ERR").lacks("resources.0.id")
    inside.list_keys(limit=1).succeeds(200)
    inside.get_allowed_ip_port().succeeds(200, requirement=row).shows(port, requirement=row)
    inside.set_instance_policy("allowedIP", enabled=False).succeeds(204)
    kms.list_keys(limit=1).succeeds(200)
    kms.get_allowed_ip_port().succeeds(200, requirement=row).lacks(port, requirement=row)


@covers("precedence-p3", "unauthorized-err")
@needs(control=True, capability=("instance_policies", "faults"))
@impact("allowed-ip")
def test_caller_from_a_public_network(kms):
    """While only private networks are allowed, a caller from a public network is refused."""
    public, private = kms.from_address(ELSEWHERE), kms.from_address(PRIVATE)
    public.list_keys(limit=1).succeeds(200)
    private.list_keys(limit=1).succeeds(200)
    private.set_instance_policy("allowedNetwork", allowed_network="private-only").succeeds(204)
    private.list_keys(limit=1).succeeds(200)
    public.list_keys(limit=1).is_refused(
        "UNAUTHORIZED_ERR", requirement=("precedence-p3", "unauthorized-err")
    )
    private.set_instance_policy("allowedNetwork", allowed_network="public-and-private").succeeds(204)
    public.list_keys(limit=1).succeeds(200)


@covers("allowed-ip-port")
@needs(capability="allowed_ip")
def test_private_port(kms):
    """The port of the private endpoint can be read with and without an allowedIP policy."""
    kms.get_allowed_ip_port().succeeds(200, requirement="allowed-ip-port")
