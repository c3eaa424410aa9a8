"""Tables, projections and queries of approvals, by noun."""

from assent.approvals.store.break_glass import find_break_glass, select_break_glass
from assent.approvals.store.comments import CommentRow, comments, find_comment, select_comments
from assent.approvals.store.requests import (
    WITHDRAWN,
    Binding,
    PolicyVersion,
    Proposal,
    VoteRow,
    find_binding,
    find_proposal,
    find_request,
    policies,
    projections,
    requests,
    select_policies,
    select_requests,
    select_votes,
    votes,
)

__all__ = [
    "WITHDRAWN",
    "Binding",
    "CommentRow",
    "PolicyVersion",
    "Proposal",
    "VoteRow",
    "comments",
    "find_binding",
    "find_break_glass",
    "find_comment",
    "find_proposal",
    "find_request",
    "policies",
    "projections",
    "requests",
    "select_break_glass",
    "select_comments",
    "select_policies",
    "select_requests",
    "select_votes",
    "votes",
]
