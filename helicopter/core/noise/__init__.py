"""From what a backend finds out about noise to what is said of it."""
