"""The rules of approvals: conditions, people, requests. Pure."""
