"""Which section of the documented error page speaks of which reason code (anchors, short form)."""

from __future__ import annotations

from typing import Final

UNAUTHORIZED: Final = "unauthorized-err"
UMBRELLA: Final = "key-delete-err"

SECTION_OF: Final[dict[str, str]] = {
    "COLLECTION_TOTAL_MISMATCH_ERR": "collection-total-mismatch-err",
    "BODY_QUERY_PARAM_MISMATCH_ERR": "body-query-param-mismatch-err",
    "BEARER_SUB_EXTRACTION_ERR": "bearer-sub-extraction-err",
    "BAD_BODY_ERR": "bad-body-err",
    "INVALID_FIELD_ERR": "invalid-field-err",
    "KEY_DELETED_ERR": "key-deleted-err",
    "KEY_ACTION_INVALID_STATE_ERR": "key-action-invalid-state-err",
    "KEY_INVALID_STATE_ERR": "key-invalid-state-err",
    "PROTECTED_RESOURCE_ERR": "protected-resource-err",
    "INCOMPLETE_METADATA_ERR": "incomplete-metadata-err",
    "KEY_RESTORE_EXPIRED": "key-restore-expired",
    "KEY_CREATE_IMPORT_ACCESS_ERR": "key-create-import-access-err",
    "NO_BODY_ERR": "no-body-err",
    "AUTHORIZATIONS_NOT_MET": "authorizations-not-met",
    "NUM_COLLECTION_RESOURCE_ERR": "num-collection-resource-err",
    "KEY_IMPT_REQ_ERR": "key-impt-req-err",
    "KEY_ROOT_REQ_ERR": "key-root-req-err",
    "KEY_ROOT_REQ_REG_ERR": "key-root-req-reg-err",
    "CONFIG_RULE_CONFLICT_ERR": "config_rule_conflict_err",
    "INVALID_SIG_EXP_ERR": "invalid_sig_exp_err",
    "KEY_EXPIRED_ERR": "key-expired-err",
    "INCORRECT_NONCE_ERR": "incorrect-nonce-err",
    "IMPORT_TOKEN_EXPIRED_ERR": "import-token-expired-err",
    "PREV_KEY_DEL_ERR": "prev-key-del-err",
    "NOT_DUAL_AUTH_ERR": "not-dual-auth-err",
    "REQ_TOO_EARLY_ERR": "req-too-early-err",
    "UNPROCESSABLE_CIPHERTEXT_ERR": "unprocessable-ciphertext-err",
    "INCORRECT_NONCE_IV_ERR": "incorrect-nonce-iv-err",
    "RESOURCE_OWNER_ERR": "resource-owner-err",
    "SERVICE_ONLY_ERR": "service-only-err",
    "FEATURE_RESTRICTED_ERR": "feature-restricted-err",
    "KEY_VERSION_INVALID": "key-version-invalid",
    "KEY_ROTATION_NOT_PERMITTED": "key-rotation-not-permitted",
    "KEY_PAYLOAD_REQ_ERR": "key-payload-req-err",
}
