"""What hits have in common: connected units, comparison of queries, and where on Mars they lie."""
