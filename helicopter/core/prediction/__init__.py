"""Prediction of hidden pixels: what is hidden, how sure a prediction is, how good it was."""
