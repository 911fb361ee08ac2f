"""The AWS KMS cases' ``aws``."""

from kms_conformance.api import case_fixture

aws = case_fixture("aws_kms", "aws")
