"""Random graphs with the look of small molecules, and a property that depends on atoms, bonds and rings."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from expkit.data.base import Spec, Split
from expkit.data.graph_columns import Graph, GraphData, both_ways

VALENCE = (4, 3, 2, 1)  # of C, N, O, F
SHARE = (0.7, 0.12, 0.13, 0.05)  # of the atoms that are attached
RING = (5, 6)  # atoms of a ring
DOUBLE = 0.25  # share of the bonds that become double where valences leave room


class RandomMoleculeGraphs(GraphData):
    r"""Trees of atoms (C, N, O, F), grown atom by atom within their valences, in which chains are closed to rings of 5
    or 6 atoms and some bonds are double.

    The target is additive, as estimates of a molecule's solubility are:

        y = \sum_atoms a(type) + \sum_bonds b(type, type, order) - c rings

    with a, b ~ N(0, 1), drawn once, and c = `ring_weight`; y is put into units of the standard deviation over training
    graphs, with mean 0. The number of rings is bonds - atoms + 1. Node features are the atom's type, edge features
    the bond's order, one-hot. Columns: see `GraphData`; 'target' is (n, 1).

    Args:
        n_train, n_test: numbers of graphs.
        min_atoms, max_atoms: of a molecule, uniform.
        rings: most rings of a molecule; the number that is tried is uniform from 0 to it.
        ring_weight: c, in units of the standard deviation of an atom's contribution.
        edge_features: 2, which tell the order of a bond, or 0.
        positions, n_positions: see `GraphData`.
    """

    def __init__(
        self,
        n_train: int,
        n_test: int,
        min_atoms: int,
        max_atoms: int,
        rings: int,
        ring_weight: float,
        spec: Spec,
        edge_features: Literal[0, 2] = 2,
        positions: Literal["none", "laplacian", "random_walk"] = "none",
        n_positions: int = 8,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(max_atoms, 2 * (max_atoms - 1 + rings), spec, positions, n_positions, batch_size, seed)
        if not 2 <= min_atoms <= max_atoms:
            raise ValueError(f"molecules have from min_atoms to max_atoms atoms, got {min_atoms} to {max_atoms}")
        self.n_examples = {"train": n_train, "test": n_test}
        self.min_atoms = min_atoms
        self.rings = rings
        self.edge_features = edge_features
        self.ring_weight = ring_weight

    @property
    def contributions(self) -> tuple[Tensor, Tensor]:
        """a, (4,), and b, (2, 4, 4), symmetric in the two types."""
        random = self.generator("contributions")
        atoms = torch.randn(4, generator=random)
        bonds = torch.randn(2, 4, 4, generator=random)
        return atoms, bonds.triu() + bonds.triu(1).mT

    def graphs(self) -> dict[str, list[Graph]]:
        contributions = self.contributions
        return {
            name: [self._graph(self._molecule(tosses), contributions) for _ in range(n)]
            for name, n in self.n_examples.items()
            # Atom by atom in plain Python, which tosses coins much faster one by one than torch does.
            for tosses in [random.Random(int(torch.randint(2**62, (), generator=self.generator(name))))]
        }

    def draw(self) -> dict[str, Split]:
        splits = super().draw()
        mean, deviation = splits["train"]["target"].mean(), splits["train"]["target"].std()
        for split in splits.values():
            split["target"] = (split["target"] - mean) / deviation
        return splits

    def _molecule(self, tosses: random.Random) -> Molecule:
        molecule = _tree(tosses.randint(self.min_atoms, self.max_nodes), tosses)
        for _ in range(tosses.randint(0, self.rings)):
            _close_ring(molecule, tosses)
        for pair in sorted(molecule.order):
            if min(molecule.free(atom) for atom in pair) > 0 and tosses.random() < DOUBLE:
                molecule.order[pair] = 2
        return molecule

    def _graph(self, molecule: Molecule, contributions: tuple[Tensor, Tensor]) -> Graph:
        types = torch.tensor(molecule.types)
        pairs, orders = torch.tensor(list(molecule.order)), torch.tensor(list(molecule.order.values())) - 1
        atoms, bonds = contributions
        value = atoms[types].sum() + bonds[orders, types[pairs[:, 0]], types[pairs[:, 1]]].sum()
        value = value - self.ring_weight * (len(pairs) - len(types) + 1)
        orders_told = F.one_hot(orders, 2).float().repeat(2, 1)[:, : self.edge_features]
        return Graph(F.one_hot(types, 4).float(), both_ways(pairs), value.view(1), orders_told)


@dataclass
class Molecule:
    """Atoms and bonds.

    Args:
        types: of each atom, an index into `VALENCE`.
        order: of each bond, 1 or 2, by its two atoms, the lower number first.
    """

    types: list[int]
    order: dict[tuple[int, int], int]

    def free(self, atom: int) -> int:
        """Valences of an atom that no bond uses."""
        return VALENCE[self.types[atom]] - sum(order for pair, order in self.order.items() if atom in pair)

    def distances(self, start: int) -> dict[int, int]:
        """Bonds on the shortest way from an atom to each."""
        found, edge = {start: 0}, [start]
        while edge:
            reached = {sum(pair) - atom for atom in edge for pair in self.order if atom in pair} - found.keys()
            found |= dict.fromkeys(reached, found[edge[0]] + 1)
            edge = list(reached)
        return found


def _tree(n: int, tosses: random.Random) -> Molecule:
    """`n` atoms, each attached to one of those before it that has a valence left."""
    molecule, left = Molecule([0], {}), [VALENCE[0]]
    for atom in range(1, n):
        (other,) = tosses.choices(range(atom), left)
        # Unless the last valence is used up by that, after which a tree that is to grow on could not.
        types = range(len(VALENCE)) if atom == n - 1 or sum(left) > 1 else range(len(VALENCE) - 1)
        (kind,) = tosses.choices(types, SHARE[: len(types)])
        molecule.types.append(kind)
        molecule.order[other, atom] = 1
        left[other] -= 1
        left.append(VALENCE[kind] - 1)
    return molecule


def _close_ring(molecule: Molecule, tosses: random.Random) -> None:
    """Bonds two atoms with free valences so that a ring of 5 or 6 atoms is closed, if there are such."""
    free = [atom for atom in range(len(molecule.types)) if molecule.free(atom) > 0]
    pairs = [
        (first, second)
        for first in free
        for second, steps in sorted(molecule.distances(first).items())
        if first < second and second in free and steps + 1 in RING
    ]
    if pairs:
        molecule.order[tosses.choice(pairs)] = 1
