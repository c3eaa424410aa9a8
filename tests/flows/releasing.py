"""What people do before a flow begins: file a release, approve it, start it."""

from assent.approvals import service as approvals
from assent.delivery import service as delivery
from assent.identity import service as identity
from assent.kernel.tx import Actor
from tests.delivery.releases import PROJECT

OPERATOR = Actor("usr_operator", "person")


def start_rollout(runtime, subject, plan):
    """File a version, let the reviewer approve it, start it; gives the rollout's id."""
    release = delivery.Release(
        project=PROJECT, environment="production", subject=subject, plan=plan, reason="better"
    )
    with runtime.session.begin(OPERATOR) as tx:
        filed = delivery.request_release(tx, release)
    with runtime.session.read() as reader:
        request = approvals.get(reader, filed.request)
        reviewer = identity.get_account(reader, "ruth")
    vote = approvals.NewVote(
        request=request.id, project=PROJECT, subject=request.subject, policy=request.policy, verdict="approve"
    )
    with runtime.session.begin(Actor(reviewer.id, "person", auth_at=runtime.clock.now())) as tx:
        approvals.vote(tx, vote)
    with runtime.session.begin(OPERATOR) as tx:
        delivery.start(tx, delivery.Ask(rollout=filed.id))
    return filed.id
