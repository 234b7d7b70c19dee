"""The engines that analyse."""
