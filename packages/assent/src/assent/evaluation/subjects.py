"""What evaluation asks of the slices below: versions, their prompts, their upstreams, and what is live."""
