"""AWS Key Management Service as a system, experimental; :mod:`.adapter` has its requests as methods."""

from __future__ import annotations

from kms_conformance.system import Authorization, Impact, InstanceForm, System

SYSTEM = System(
    id="aws_kms",
    contract="kms_conformance.contracts/aws_kms",
    scenarios=("kms_conformance.scenarios.aws_kms",),
    adapter="kms_conformance.adapters.aws_kms.adapter:AwsKms",
    identities=("principal",),
    secrets=("access_key_id", "secret_access_key", "session_token"),
    capabilities=(
        "aws_signatures",
        "aws_import",
        "aws_grants",
        "aws_rotation",
        "aws_macs",
        "aws_dry_run",
    ),
    # Keys cannot be deleted in under seven days: who runs the cases has to accept that they stay for that time.
    impacts={"keys": Impact("aws_litter")},
    instance=InstanceForm(
        key="account", pattern=r"\d{12}", what="the number of the account", fresh=False, default=""
    ),
    authorization=Authorization(
        signer="kms_conformance.adapters.aws_kms.signing:sign",
        curl='--aws-sigv4 "aws:amz:$AWS_REGION:kms" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
    ),
    table={
        "base_url": {"type": "string", "pattern": "^https?://", "description": "Root of the service"},
        "account": {"type": "string", "description": "Number of the account, for the reports"},
        "region": {
            "type": "string",
            "description": "Region that requests are signed for",
            "default": "us-east-1",
        },
    },
    shown=("base_url", "account", "region"),
    certifiable=False,
    order=30,
)
