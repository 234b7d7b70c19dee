"""The engines that predict."""
