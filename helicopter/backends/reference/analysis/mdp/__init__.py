"""Markov decision processes in NumPy and SciPy, with bounds that hold after all roundings.

`rows` compresses models, `bellman` has the sweeps in plain float64, `exact` the residuals to twice
that precision, `certificate` turns residuals into bounds, `plain` solves in plain float64, `solver`
brings these together; `horizon` has the other criterion.
"""
