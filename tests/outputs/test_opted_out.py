"""A case that is not asked in another way is told with the reason, in every output that lists cases."""

from __future__ import annotations

import re

from kms_conformance.contract.opt_outs import opt_outs
from kms_conformance.contract.schemas import SCHEMA_FILES
from kms_conformance.contract.severity import Verdict
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.results import CaseResult
from kms_conformance.judging.verdict import Profile, Run
from kms_conformance.outputs import html, results, summary
from kms_conformance.outputs.opted_out import OptedOut, opted_out

SIXTH = "key_protect.aliases.sixth_alias"
TOKENS = "key_protect.import_tokens.nonce_of_another_token"
TWO_USERS = "key_protect.dual_auth.two_users"
PLAIN = "key_protect.states.delete_twice"


def case(case_id: str, contract: str = "key_protect", identity: str = "manager") -> CaseResult:
    """Return a case that has passed, with one request of an identity."""
    sent = Sent("GET", "https://kms.test/api/v2/keys", "/api/v2/keys", {})
    exchange = Exchange(case_id, case_id, "list keys", "getKeys", identity, sent, Received(200, {}, {}))
    return CaseResult(case_id, f"Title of {case_id}", contract, Verdict.PASSED, (), "", exchanges=(exchange,))


def run_of(*cases: CaseResult) -> Run:
    """Return a run of these cases."""
    return Run(Profile.GATE, cases, ())


RUN = run_of(case(SIXTH), case(TOKENS), case(TWO_USERS, identity="approver"), case(PLAIN))


def test_by_view_and_reason() -> None:
    """A pattern of the contract, or the identity that the view needs; a case that suits every view is not told."""
    assert opted_out(RUN) == (
        OptedOut("key_protect", "alias", "the case gives a key as many aliases as it may have", (SIXTH,)),
        OptedOut(
            "key_protect", "second-identity", "the case uses the identity approver itself", (TWO_USERS,)
        ),
        OptedOut("key_protect", "import-token", "the case has an import token of its own", (TOKENS,)),
    )


def test_what_has_no_views_opts_out_of_none() -> None:
    """A case of a law, of a contract without views and of one that is not installed."""
    law = case("key_protect.laws.views[alias-aliases.sixth_alias]", identity="approver")
    assert opted_out(run_of(law, case("iks.one", "iks", "approver"), case("demo.one", "demo"))) == ()
    assert opt_outs("iks") == []


def test_every_output_tells_it() -> None:
    """Data as their schema says, the summary as a table, the page with links to the cases."""
    document = results.render(RUN)
    assert SCHEMA_FILES.complaint("results", document) is None
    assert document["opted_out"][0] == {
        "contract": "key_protect",
        "view": "alias",
        "why": "the case gives a key as many aliases as it may have",
        "cases": [SIXTH],
    }
    row = f"| `second-identity` | the case uses the identity approver itself | `{TWO_USERS}` |"
    assert row in summary.render(RUN)
    page = html.render(RUN)
    section = page[page.index('id="opted-out"') :]
    assert "the case has an import token of its own" in section
    (place,) = re.findall(rf'<a href="#(case-\d+)">Title of {re.escape(TOKENS)}</a>', section)
    assert f'id="{place}"' in page


def test_nothing_to_tell() -> None:
    """Where every case suits every view there is no section."""
    run = run_of(case(PLAIN))
    assert results.render(run)["opted_out"] == []
    assert "another way" not in summary.render(run)
    assert "opted-out" not in html.render(run)
