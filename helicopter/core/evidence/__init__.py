"""Evidence: when there is enough of it, and whether what is stated of it is right."""
