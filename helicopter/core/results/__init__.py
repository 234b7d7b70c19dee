"""What the engines return: frozen dataclasses that also read like mappings."""
