"""What evaluation knows, pure: documents, outcomes, statistics, verdicts and events."""
