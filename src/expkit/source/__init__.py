"""What code says, read from its source: nothing is imported or executed.

So a configuration is checked before anything heavy is loaded, and a run is identified by the code it uses.
"""

from expkit.source.closure import closure, closure_hash
from expkit.source.modules import find_module
from expkit.source.names import Definition, resolve
from expkit.source.signatures import Parameter, Signature, class_literal, signature

__all__ = [
    "Definition",
    "Parameter",
    "Signature",
    "class_literal",
    "closure",
    "closure_hash",
    "find_module",
    "resolve",
    "signature",
]
