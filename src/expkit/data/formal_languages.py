"""Strings and what a transduction makes of them: parity, reversal, duplication (arXiv 2207.02098)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData

IGNORED = -100  # targets that do not count


class FormalLanguages(TensorData):
    """A string, then as many queries as the answer is long, at each of which one symbol of the answer is wanted.

    ================  =========================  ===================================  =================
    language          answer                     Chomsky's class                      tokens for length n
    ================  =========================  ===================================  =================
    parity            sum modulo `symbols`       regular                              n + 1
    reverse_string    the string from behind     deterministic context-free           2 n
    duplicate_string  the string, twice          context-sensitive                    3 n
    ================  =========================  ===================================  =================

    Symbols are uniform on 0 ... symbols - 1; the query is token `symbols`, and what fills up a row is
    `symbols` + 1. No answer is ever an input, as in the paper. Lengths are all as frequent, but for one example.

    Splits: 'train' and 'val' of `train_lengths`, 'test' of `test_lengths`, each as wide as its longest example needs.
    Columns: 'input' (n, width), 'target' (n, width), -100 where nothing is wanted, and 'length' (n,), of the string.

    Args:
        language: which answer.
        train_lengths, test_lengths: the shortest and the longest string.
        n_train, n_val, n_test: numbers of strings.
        symbols: size of the alphabet.
    """

    def __init__(
        self,
        language: Literal["parity", "reverse_string", "duplicate_string"],
        train_lengths: Sequence[int],
        test_lengths: Sequence[int],
        n_train: int,
        n_val: int,
        n_test: int,
        spec: Spec,
        symbols: int = 2,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if language not in _LANGUAGES:
            raise ValueError(f"language is one of {', '.join(_LANGUAGES)}; got '{language}'")
        for name, lengths in (("train_lengths", train_lengths), ("test_lengths", test_lengths)):
            if len(lengths) != 2 or not 1 <= lengths[0] <= lengths[1]:
                raise ValueError(f"{name} is the shortest and the longest length, from 1 on; got {list(lengths)}")
        if symbols < 2:
            raise ValueError(f"an alphabet has at least 2 symbols, got symbols={symbols}")
        self.language = _LANGUAGES[language]
        self.symbols = symbols
        self.sizes = {
            "train": (n_train, train_lengths),
            "val": (n_val, train_lengths),
            "test": (n_test, test_lengths),
        }

    def draw(self) -> dict[str, Split]:
        return {name: self._strings(name, n, *lengths) for name, (n, lengths) in self.sizes.items()}

    def _strings(self, name: str, n: int, shortest: int, longest: int) -> Split:
        strings = torch.randint(self.symbols, (n, longest), generator=self.generator(name))
        length = (shortest + torch.arange(n) % (longest - shortest + 1)).unsqueeze(1)
        wanted = self.language.queries(length)
        place = torch.arange(longest + int(wanted.max()))
        query = place - length  # number of the query that stands at a place
        asked = (query >= 0) & (query < wanted)
        answer = self.language.answer(strings, length, query.clamp(min=0)) % self.symbols
        padded = torch.nn.functional.pad(strings, (0, len(place) - longest))
        inputs = padded.where(query < 0, torch.where(asked, self.symbols, self.symbols + 1))
        return {"input": inputs, "target": answer.where(asked, IGNORED), "length": length.squeeze(1)}

    def _check(self, name: str, split: Split) -> None:
        width = split["input"].shape[1]
        longest = self.spec["shape"][0]
        if width <= longest:  # a split of short strings is narrower, which costs recurrent models less
            padded = {**split, "input": split["input"].new_zeros(()).expand(len(split["input"]), longest)}
            return super()._check(name, padded)
        return super()._check(name, split)


@dataclass(frozen=True)
class _Language:
    """Maps from tensors: strings (n, longest), their length (n, 1), and the number of a query (n, places), from 0."""

    queries: Callable[[Tensor], Tensor]  # how many symbols the answer has, given the length
    answer: Callable[[Tensor, Tensor, Tensor], Tensor]  # the symbol, modulo the alphabet, that each query asks for


def _sum(strings: Tensor, length: Tensor, query: Tensor) -> Tensor:
    inside = torch.arange(strings.shape[1]) < length
    return (strings * inside).sum(1, keepdim=True).expand_as(query)


def _from_behind(strings: Tensor, length: Tensor, query: Tensor) -> Tensor:
    return strings.gather(1, (length - 1 - query).clamp(min=0))


def _from_the_front(strings: Tensor, length: Tensor, query: Tensor) -> Tensor:
    return strings.gather(1, query % length)


_LANGUAGES = {
    "parity": _Language(torch.ones_like, _sum),
    "reverse_string": _Language(lambda length: length, _from_behind),
    "duplicate_string": _Language(lambda length: 2 * length, _from_the_front),
}
