"""Memory that is used up, in the user's words. Imports no torch."""

from __future__ import annotations

from expkit.errors import UserError

CPU_SAYS = ("can't allocate memory", "bad_alloc")  # torch's allocator for the CPU has no error class of its own


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator has nothing left: Python's, torch's on a GPU, or torch's on the CPU."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # torch's
        or (isinstance(error, RuntimeError) and any(said in str(error) for said in CPU_SAYS))
    )


def memory_error(error: BaseException) -> UserError | None:
    """What to say of such an error; None of any other."""
    if not is_out_of_memory(error):
        return None
    said = str(error).strip().partition("\n")[0]
    return UserError(
        f"Out of memory{': ' if said else ''}{said}",
        "Lower data.batch_size (with trainer.accumulate_grad_batches, steps stay what they are) or the model's size, "
        "or run fewer at once (hydra.launcher.n_jobs). The same command then goes on from what was saved.",
    )
