"""``python -m kms_conformance``."""

from kms_conformance.cli import main

main()
