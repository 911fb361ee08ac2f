"""Signatures and transaction counters of commands."""

from functools import partial

import pytest

from kms_conformance.api import covers, impact

CLEAR_NEW, CLEAR_CURRENT, ADD, IMPORT = 0x1C, 0x1B, 0x02, 0x0C
PARTS = (b"\x5a" * 32, bytes(range(32)))
POINT = bytes(8) + b"\x01" + bytes(7)
ZEROS, ONES = "3006020100020100", "3006020101020101"
"""ECDSA signatures of two numbers that are 0, or 1."""


@covers("tke-too-few-signatures")
@impact("zeroize")
def test_too_few_signatures(tke):
    """A command with fewer signatures than the threshold is refused."""
    unit, (first, second, third) = tke.operational(tke.unit(), signature=2), tke.administrators(3)
    before = unit.look()
    control = unit.clear_new([first]).succeeds()
    for by in ([], [first], [first, first]):
        unit.add(third, by).is_refused("208/21", control=control)
    unit.clear_new([]).is_refused("208/21")
    unit.unchanged(before)
    unit.add(third, [first, second]).succeeds()


@covers("tke-too-few-signatures")
@impact("zeroize")
def test_signers_in_any_order(tke):
    """A signer counts once, also where another one has signed in between."""
    unit, people = tke.unit(), tke.administrators(4)
    for who in people[:3]:
        unit.add(who).succeeds()
    unit.set(people[:3], signature=3, revocation=3).needed()
    before = unit.look()
    first, second, third, fourth = people
    for by in ([first, second, first], [second, first, second, first]):
        unit.add(fourth, by).is_refused("208/21", control=unit.attributes().needed())
    unit.unchanged(before)
    unit.add(fourth, [third, first, second]).succeeds()


@covers("tke-too-few-signatures")
@impact("zeroize")
def test_signatures_on_the_way_of_a_key(tke):
    """A key part and finalizing need one signature each, committing as many as the signature threshold."""
    unit, both = tke.operational(tke.unit(), signature=2), tke.administrators(2)
    control, key = unit.attributes().needed(), unit.importer_of(unit.importer(both).needed())
    before = unit.look()
    unit.send_parts(key, PARTS, []).is_refused("208/21", control=control)
    unit.unchanged(before)
    unit.send_parts(key, PARTS, both[:1]).succeeds()
    before, pattern = unit.look(), unit.new_pattern()
    unit.commit(pattern, both[:1]).is_refused("208/21", control=control)
    unit.unchanged(before)
    unit.commit(pattern, both).succeeds()
    before = unit.look()
    unit.finalize(pattern, []).is_refused("208/21", control=control)
    unit.unchanged(before)
    unit.finalize(pattern, both[:1]).succeeds()


@covers("tke-too-few-signatures", "tke-administrator-removed")
@impact("zeroize")
def test_removing_asks_its_own_threshold(tke):
    """Removing an administrator needs as many signatures as the revocation threshold says, be it the lower one."""
    unit, (first, second, third) = tke.unit(), tke.administrators(3)
    tke.operational(unit, signature=1, revocation=2)
    unit.add(third, [first]).succeeds()
    before = unit.look()
    unit.remove(third.ski, [first]).is_refused("208/21", control=unit.attributes().needed())
    unit.unchanged(before)
    unit.remove(third.ski, [first, second]).succeeds()
    unit.add(third, [first]).succeeds()
    unit.set([first], signature=2, revocation=1).succeeds()
    unit.remove(third.ski, [first]).succeeds(requirement="tke-administrator-removed")


def key_committed(_, unit, by):
    """Import a key with one signature and commit it with those given; take it out again when that was done."""
    key = unit.importer_of(unit.importer(by[:1]).needed())
    unit.send_parts(key, PARTS, by[:1]).needed()
    answer = unit.commit(unit.new_pattern(), by)
    unit.clear_new(by[:1]).needed()
    return answer


AS_THE_THRESHOLD = {
    "add": lambda tke, unit, by: unit.add(tke.administrators(4)[3], by),
    "remove": lambda tke, unit, by: unit.remove(tke.administrators(4)[3].ski, by),
    "commit": key_committed,
    "export": lambda tke, unit, by: unit.export_key(tke.holder(), by),
    "control-points": lambda _, unit, by: unit.add_control_points(POINT, by),
    "permissions": lambda _, unit, by: unit.set(by, permissions=unit.permissions()),
}
"""Commands that need as many signatures as a threshold says, in an order in which each can be done."""


@covers("tke-too-few-signatures", "tke-effects")
@impact("zeroize")
def test_thresholds_that_changed(tke):
    """Each command asks for as many signatures as its threshold says now, after that was raised and after it was lowered."""
    unit, both = tke.operational(tke.unit()), tke.administrators(2)
    unit.random_key(both[:1]).needed()
    for now, later in ((1, 2), (2, 1), (1, 2)):
        control = unit.attributes().needed()
        for ask in AS_THE_THRESHOLD.values():
            if now > 1:
                ask(tke, unit, both[:1]).is_refused("208/21", control=control)
            ask(tke, unit, both[:now]).succeeds(requirement="tke-effects")
        unit.set(both[:now], signature=later, revocation=later).succeeds(requirement="tke-effects")


@covers("tke-signature-invalid", "tke-too-few-signatures")
@impact("zeroize")
def test_signature_of_a_key_part(tke):
    """Each key part, be it the first or the last one, must be signed, and the signature must cover exactly its octets."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    key = unit.importer_of(unit.importer([first]).needed())
    control, before = unit.attributes().needed(), unit.look()
    forged = unit.part(key.seal(bytes(range(32))), [first], over=b"x")
    unit.command(IMPORT, forged, label="a part signed over other octets").is_refused(
        "192/22", control=control
    )
    for signers in (([first], []), ([], [first])):
        unit.send_signed_parts(key, list(zip(PARTS, signers, strict=True))).is_refused(
            "208/21", control=control, requirement="tke-too-few-signatures"
        )
    unit.unchanged(before)
    unit.send_parts(key, PARTS, [first]).succeeds()


@covers("tke-too-few-signatures")
@impact("zeroize")
def test_leaving_imprint_mode(tke):
    """Leaving imprint mode needs as many signatures as the new threshold says."""
    unit, both = tke.unit(), tke.administrators(2)
    for who in both:
        unit.add(who).succeeds()
    before = unit.look()
    for by in ([], both[:1]):
        unit.set(by, signature=2, revocation=2).is_refused("208/21", control=unit.attributes().needed())
    unit.unchanged(before)
    unit.set(both, signature=2, revocation=2).succeeds()


@covers("tke-signature-invalid")
@impact("zeroize")
def test_every_signature_counts(tke):
    """Every signature of a command is verified: one valid signature does not excuse an invalid one."""
    unit, (first, second) = tke.operational(tke.unit(), signature=2), tke.administrators(2)
    control = unit.clear_new([first]).succeeds()
    before = unit.look()
    for forged in (0, 1):
        block = unit.block(ADD, tke.administrators(3)[2].certificate_sent)
        infos = b"".join(
            who.sign(block + b"x" if place == forged else block) for place, who in enumerate((first, second))
        )
        unit.signed(ADD, block, infos, label="one of two signatures over other octets").is_refused(
            "192/22", control=control
        )
    unit.unchanged(before)
    unit.add(tke.administrators(3)[2], [first, second]).succeeds()


@covers("tke-addressee")
@impact("zeroize")
@pytest.mark.parametrize("part", ["module", "domain"])
def test_command_for_another_unit(tke, part):
    """A command signed for another module, another domain or an earlier instance of the domain is refused."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    unit.clear_new([first]).succeeds()
    before = unit.look()
    heard = unit.attributes().needed().heard
    other = {
        "module": {"module": bytes(octet ^ 0x01 for octet in heard.module)},
        "domain": {"domain": heard.domain[:4] + bytes(octet ^ 0x55 for octet in heard.domain[4:])},
    }
    unit.command(CLEAR_NEW, by=[first], **other[part]).is_refused_anyhow()
    unit.unchanged(before)
    unit.clear_new([first]).succeeds()


@covers("tke-signature-invalid")
@impact("zeroize")
def test_signature_over_something_else(tke):
    """The signature on a command must cover exactly its octets: one of an earlier or another command does not count."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    block = unit.block(CLEAR_NEW)
    earlier = first.sign(block)
    unit.signed(CLEAR_NEW, block, earlier, label="signed by 1").succeeds()
    before = unit.look()
    for signature, label in (
        (lambda block, _: first.sign(block + b"x"), "signature over other octets"),
        (lambda *_: earlier, "signature of the command before"),
        (lambda _, other: first.sign(other), "signature of another command"),
    ):
        # Each has the unit's next counter: whether a refused command uses it up no source says.
        block, other = unit.block(CLEAR_NEW), unit.block(CLEAR_CURRENT)
        unit.signed(CLEAR_NEW, block, signature(block, other), label=label).is_refused("192/22")
    unit.unchanged(before)
    unit.clear_new([first]).succeeds()


@covers("tke-signature-malformed")
@impact("zeroize")
@pytest.mark.parametrize("signature", ["", "0400", "3000", "30030201", ZEROS, ONES])
def test_malformed_signature(tke, signature):
    """A signature whose format does not match the signer's key, or whose numbers sign anything, is refused."""
    unit, (first, _) = tke.operational(tke.unit()), tke.administrators(2)
    unit.clear_new([first]).succeeds()
    before = unit.look()
    block = unit.block(CLEAR_NEW)
    malformed = first.enclose(bytes.fromhex(signature))
    unit.signed(CLEAR_NEW, block, malformed, label="malformed signature").is_refused("193")
    unit.unchanged(before)


@covers("tke-signature-invalid", "tke-too-few-signatures")
@impact("zeroize")
def test_signature_in_the_name_of_another(tke):
    """A signature counts for the administrator who made it, not for the one whom it names."""
    unit, (first, second, third) = tke.operational(tke.unit(), signature=2), tke.administrators(3)
    control = unit.clear_new([first]).succeeds()
    before = unit.look()
    block = unit.block(ADD, third.certificate_sent)
    both = first.sign(block) + first.sign_for(second, block)
    unit.signed(ADD, block, both, label="both signatures by one administrator").is_refused(
        "192/22", control=control
    )
    unit.unchanged(before)
    unit.add(third, [second, first]).succeeds(requirement="tke-too-few-signatures")


@covers("tke-foreign-signer")
@impact("zeroize")
def test_foreign_signer(tke):
    """Only installed administrators can sign, and only for the unit in which they are installed."""
    units, (first, _, stranger) = tke.fresh_units(), tke.administrators(3)
    unit = tke.operational(units[0])
    if len(units) > 1:
        units[-1].add(stranger).needed()
    unit.clear_new([first]).succeeds()
    before = unit.look()
    unit.clear_new([stranger]).is_refused("257")
    unit.unchanged(before)


@covers("tke-transaction-counter")
@impact("zeroize")
@pytest.mark.parametrize(
    "counter", ["used before", "used long before", "too high", "one octet short", "one octet long", "empty"]
)
def test_wrong_counter(tke, counter):
    """A command is executed once: any other transaction counter than the next one is refused, whoever signs."""
    unit, (first, second) = tke.operational(tke.unit()), tke.administrators(2)
    by = [second] if counter.startswith("used before") else [first]
    unit.clear_new([first]).succeeds()
    long_ago = unit.counter
    for _ in range(2):
        unit.clear_new([first]).succeeds()
    used = unit.counter
    before = unit.look()
    following = tke.next_counter(used)
    others = {
        "used before": [used],
        "used long before": [long_ago],
        # One more than the next, and numbers that end in the next one's octets, or begin with them.
        "too high": [tke.next_counter(following), bytes([following[0] ^ 1]) + following[1:]],
        "one octet short": [following[1:]],
        "one octet long": [b"\0" + following],
        "empty": [b""],
    }[counter]
    for other in others:
        unit.command(CLEAR_NEW, by=by, counter=other).is_refused("163/19")
    unit.unchanged(before)
    unit.clear_new([first]).succeeds()


@covers("tke-transaction-counter")
@impact("zeroize")
def test_one_counter_at_once(tke):
    """Of two commands with one transaction counter that come at the same moment one is executed."""
    unit, (first, _, third, fourth) = tke.operational(tke.unit()), tke.administrators(4)
    unit.clear_new([first]).succeeds()
    blocks = {who: unit.block(ADD, who.certificate_sent) for who in (third, fourth)}
    answers = tke.at_once(
        *(
            partial(unit.seen_by(tke).signed, ADD, block, first.sign(block), label="with one counter")
            for block in blocks.values()
        )
    )
    done, late = sorted(answers, key=lambda answer: not answer.ok)
    done.succeeds()
    late.is_refused("163/19", control=done)
    added = [who.ski.hex() for who, answer in zip(blocks, answers, strict=True) if answer is done]
    listed = [who.ski.hex() for who in tke.administrators(2)]
    # What the unit knows of its counter is older than both.
    again = tke.units()[0]
    again.administrators().succeeds().shows("administrators", sorted([*listed, *added]))
    again.clear_new([first]).succeeds()


@covers("tke-effects")
@impact("zeroize")
def test_two_units_at_once(tke):
    """Commands that come to two units at the same moment are done by the unit that each is for."""
    sent = list(zip(tke.fresh_units()[:2], tke.administrators(2), strict=False))
    for unit, _ in sent:
        unit.attributes().needed()  # so that both commands leave at once
    for done in tke.at_once(*(partial(unit.add, who) for unit, who in sent)):
        done.succeeds()
    for unit, who in sent:
        unit.administrators().succeeds().shows("administrators", [who.ski.hex()])


@covers("tke-replay-after-zeroizing", "tke-imprint-zeroized")
@impact("zeroize")
def test_replayed_after_zeroizing(tke):
    """In imprint mode zeroizing asks for no signature, and no command from before is executed again."""
    unit, people = tke.unit(), tke.administrators(3)
    before = [unit.block(ADD, people[0].certificate_sent)]
    unit.signed(ADD, before[0], b"", label="unsigned").needed()
    before.append(unit.block(ADD, people[1].certificate_sent))
    unit.signed(ADD, before[1], b"", label="unsigned").needed()
    unit.zeroize().succeeds(requirement="tke-imprint-zeroized")
    unit.administrators().succeeds().shows("administrators", [], requirement="tke-imprint-zeroized")
    for block in before:
        replayed = unit.signed(ADD, block, b"", label="from before the unit was zeroized")
        replayed.is_refused_anyhow(requirement="tke-replay-after-zeroizing")
    unit.administrators().succeeds().shows("administrators", [], requirement="tke-replay-after-zeroizing")
    unit.add(people[2]).needed()


@covers("tke-counter-advances")
@impact("zeroize")
def test_counter_advances(tke):
    """After a command succeeded, the unit's transaction counter is the one that the command carried; a query leaves it."""
    unit, (first, second) = tke.unit(), tke.administrators(2)
    unit.attributes().succeeds()
    start = unit.counter
    unit.add(first).succeeds()
    answer = unit.attributes().succeeds().shows("counter", tke.next_counter(start).hex())
    unit.add(second).succeeds()
    unit.attributes().succeeds().shows("counter", tke.next_counter(answer.heard.counter).hex())
    wanted = unit.permissions() | tke.EVERY_REGISTER | tke.ZERO_1SIGN
    unit.set([first], signature=1, revocation=1, permissions=wanted).succeeds()
    key = unit.importer_of(unit.importer([first]).succeeds())
    carried = tke.next_counter(unit.counter)
    unit.send_parts(key, PARTS, [first]).succeeds()
    unit.certificate_of(first.ski).succeeds()
    unit.attributes().succeeds().shows("counter", carried.hex())


@covers("tke-rsa-signatures")
@impact("zeroize")
def test_rsa_administrator(tke):
    """An administrator with an RSA key can be installed, signs alone or with others, and the signature must cover the command."""
    unit, rsa, (first, _) = tke.unit(), tke.rsa_administrator(), tke.administrators(2)
    tke.operational(unit)
    unit.add(rsa, [first]).succeeds()
    unit.administrators().succeeds().lists("administrators", rsa.ski.hex())
    unit.clear_new([rsa]).succeeds()
    unit.set([rsa], revocation=2).succeeds()
    unit.attributes().succeeds().shows("attributes.revocation_threshold", 2)
    for both in ([first, rsa], [rsa, first]):
        unit.set(both, signature=2).succeeds()
    block = unit.block(CLEAR_NEW)
    forged = unit.signed(CLEAR_NEW, block, rsa.sign(block + b"x"), label="RSA signature over other octets")
    forged.shows("level", "inner")
