"""A tick: publish or return submitted cards whose vote was decided elsewhere, by whatever way."""

import logging

from assent.cards import service
from assent.kernel.errors import Refused
from assent.kernel.jobs import tick
from assent.kernel.runtime import Runtime
from assent.kernel.tx import SYSTEM

log = logging.getLogger(__name__)


@tick("cards.settle", every_s=2)
def settle(runtime: Runtime) -> None:
    """Settle every submitted card; one that may not be published now waits and keeps no other waiting."""
    with runtime.session.read() as reader:
        submitted = [card for card in service.list_submitted(reader) if service.is_decided(reader, card)]
    for card in submitted:
        try:
            with runtime.session.begin(SYSTEM) as tx:
                service.settle(tx, card.id)
        except Refused as refusal:
            log.info("the card %s is approved and waits: %s", card.id, refusal)
