"""The two backends, Python and Rust, and which of them is used.

Importing this package does not import the accelerator; that is looked for when it is first needed.
"""

from ._threads import get_num_threads, set_num_threads
from .loader import BackendStatus, report, resolve

__all__ = ["BackendStatus", "get_num_threads", "report", "resolve", "set_num_threads"]
