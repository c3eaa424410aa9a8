"""What the example stories share: processes, traffic, steps through the product, and the report."""
