"""A shard's own process: ``kms-conformance`` with the given words, which ends with the worker that has started it."""

from __future__ import annotations

import sys

from kms_conformance.cli import main
from kms_conformance.run.parent import end_with_parent

if __name__ == "__main__":
    # What a worker leaves that is killed, its next attempt finds in the journal; a second run beside it would not.
    end_with_parent()
    sys.argv[0] = "kms-conformance"
    main()
