"""Tables, projections and queries of delivery."""

from assent.delivery.store import tables
from assent.delivery.store.projections import projections
from assent.delivery.store.reading import (
    Admission,
    RouteRow,
    find_judgement,
    find_rollout,
    find_route,
    list_acknowledgements,
    list_admissions,
    list_drills,
    list_rollouts,
    list_routes,
    list_samplings,
    list_warm,
    put_acknowledgement,
    put_judgement,
    rollout_of,
)

__all__ = [
    "Admission",
    "RouteRow",
    "find_judgement",
    "find_rollout",
    "find_route",
    "list_acknowledgements",
    "list_admissions",
    "list_drills",
    "list_rollouts",
    "list_routes",
    "list_samplings",
    "list_warm",
    "projections",
    "put_acknowledgement",
    "put_judgement",
    "rollout_of",
    "tables",
]
