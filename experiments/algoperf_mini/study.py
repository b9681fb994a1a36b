"""What is checked of arXiv 2306.07179 and of arXiv 2510.05491; README.md says where the thresholds come from."""

from expkit.studies import claim, holds, ratio


@claim(
    "The norms of neurons in an update of NorMuon vary less than half as much as in one of Muon",
    paper="NorMuon, figure 1: neuron norms of Muon's updates are far from uniform, and NorMuon's are even",
)
def even_neurons(runs):
    spread = {arm: runs.arm(f"text/{arm}")["neuron_norm/cv"] for arm in ("muon", "normuon")}
    return holds(ratio(spread["normuon"], spread["muon"]) <= 0.5)
