"""What every floor needs, whichever backend computes."""
