from datetime import date, timedelta

import msgspec

from assent.cards.domain import SECTIONS
from assent.delivery import service as delivery
from assent.evidence import service as evidence
from assent.identity import service as identity
from assent.kernel.tx import SYSTEM
from assent.monitoring import service as monitoring
from assent.monitoring.domain.events import IncidentOpened
from assent.providers import service as providers
from assent_client.observe import Call
from tests.cards.conftest import NAME, PROJECT
from tests.delivery.releases import plan_form

REF = f"{NAME}@2.1.0"


def sections(desk, card):
    text = desk.view(card).markdown()
    found = text.split("\n## ")
    return {int(part.partition(".")[0]): part for part in found[1:]}


def roll_out(desk):
    """Release 2.1.0 to an environment that asks nothing, 2.0.0 being live there."""
    desk.do(identity.create_environment, PROJECT, "staging", protected=False, who=SYSTEM)
    adoption = delivery.Adoption(
        project=PROJECT, environment="staging", subject=f"{NAME}@2.0.0", reason="it was live"
    )
    desk.do(delivery.adopt, adoption, who="root")
    wanted = delivery.Release(project=PROJECT, environment="staging", subject=REF, plan=plan_form())
    rollout = desk.do(delivery.request_release, wanted, who="root")
    return desk.do(delivery.start, delivery.Ask(rollout=rollout.id), who="root")


def call(desk, rollout, digest, n):
    return Call(
        at=desk.installation.clock.now() - timedelta(seconds=1),
        environment="staging",
        route=NAME,
        variant="canary",
        version=digest,
        serial=7,
        rule=None,
        reason="split",
        rollout=rollout.id,
        unit=f"u{n}",
        sticky=True,
        stream=False,
        completion_id=f"cmpl-{n}",
        status=200,
        error_class=None,
        latency_s=0.2,
        ttft_s=None,
        tokens_in=10,
        tokens_out=5,
        finish_reason="stop",
        response_model="m",
        as_approved=True,
        application="key_1",
    )


def observe(desk, rollout):
    rows = [call(desk, rollout, desk.version().digest, n) for n in range(20)]
    envelope = {"batch": "b1", "instance": "gw", "project": PROJECT, "n_dropped": 0, "observations": rows}
    body = msgspec.json.encode(envelope)
    batch = monitoring.parse(body, desk.installation.clock.now())
    desk.do(monitoring.take, batch, body, who=SYSTEM)


def test_a_card_that_nobody_uses_says_so(desk):
    found = sections(desk, desk.generate())
    assert list(found) == [section.number for section in SECTIONS]
    assert "No call was observed" in found[13]
    assert "No approval was asked for." in found[14]
    assert "It has not been rolled out." in found[15]
    assert "No environment serves it now." in found[16]
    assert "Status: draft" in found[17]
    assert "Published: no" in found[20]


def test_live_sections_follow_the_records_and_leave_the_digest_alone(measured):
    card = measured.publish()
    rollout = roll_out(measured)
    observe(measured, rollout)
    found = sections(measured, card)
    assert "thumbs_down" in found[13]
    assert "| staging | 20 | 0.0%" in found[13]
    assert "| not recorded |" in found[13]
    assert "| 0.199s |" in found[13]
    assert "| card | - | executed |" in found[14]
    assert "| release | staging | executed |" in found[14]
    assert f"| staging | running | - | {rollout.id} |" in found[15]
    assert "| staging | canary | 0.05 |" in found[16]
    assert measured.read(delivery.get, rollout.id).subject == card.subject
    document = measured.document(card)
    assert not {"monitoring", "rollouts", "approvals"} & document.keys()
    leaf = found[20].partition("Ledger leaf: ")[2].partition(" ")[0]
    assert leaf.isdecimal()


def test_an_incident_is_named_with_the_rollout(measured):
    card = measured.publish()
    rollout = roll_out(measured)
    incident = IncidentOpened(
        incident="inc_1",
        project=PROJECT,
        environment="staging",
        rollout=rollout.id,
        route=NAME,
        subject=card.subject,
        guard="thumbs_down",
        total="44.5",
        threshold="20",
        summary="",
        last_block=3,
    )

    def record(tx):
        tx.record(incident)

    measured.do(record, who=SYSTEM)
    assert (
        "| inc\\_1 | open |" in sections(measured, card)[15]
        or "| inc_1 | open |" in sections(measured, card)[15]
    )


def test_versions_that_come_after_are_dependents(desk):
    older = desk.generate("2.0.0")
    assert f"| supersedes | {REF} |" in sections(desk, older)[16]


def test_the_end_of_the_base_model_is_told(desk):
    desk.do(
        providers.date_base_model, "GPT-4-turbo", date(2027, 3, 1), "https://acme.example/ends", who=SYSTEM
    )
    told = sections(desk, desk.generate())[17]
    assert "- Its provider ends it on: 2027-03-01 (https://acme.example/ends)" in told
    desk.register("4.0.0", base_model=None)
    assert "ends it" not in sections(desk, desk.generate("4.0.0"))[17]


def test_sunset_and_successor_are_told_until_they_are_taken_back(desk):
    card = desk.generate()
    assert "- Sunset: not recorded\n- Successor: not recorded" in sections(desk, card)[17]
    said = {"name": NAME, "sunset_at": "2027-03-01T00:00:00.000000Z", "successor": f"{NAME}@3.0.0"}
    for state, wanted in (
        ("deprecated", f"- Sunset: 2027-03-01\n- Successor: {NAME}@3.0.0"),
        ("undone", "Sunset: not recorded"),
    ):
        desk.installation.clock.advance(1)
        claim = {"kind": "deprecation", "subject": desk.version().digest, "value": {**said, "state": state}}
        desk.do(evidence.record, project=PROJECT, **claim, who=SYSTEM)
        assert wanted in sections(desk, card)[17]
