"""What is checked of arXiv 2106.08295; README.md says where the thresholds come from."""

from __future__ import annotations

from typing import Any

from expkit.studies import Runs, Sample, claim, figure, holds

BITS = ("w8a8", "w4a8", "w4a4", "w2a4")
METHODS = {
    "min_max": "min-max ranges",
    "mse": "MSE ranges",
    "cle": "+ equalization",
    "cle_bias": "+ bias correction",
    "adaround": "or + AdaRound",
}
FLOAT = {"cnn": "float_cnn", "depthwise": "float_depthwise"}


@claim(
    "In 8 bits, the network is as accurate as in floating point, without any training",
    paper="8-bit post-training quantization is within 1 point of floating point",
)
def eight_bits_are_free(runs):
    return holds(
        *(
            (quantized(runs, model, "w8a8", "cle_bias") - in_float(runs, model)).named(f"{model}: W8A8 - float")
            >= -0.01
            for model in FLOAT
        )
    )


@claim(
    "With one scale per layer, 8 bits ruin a network whose channels differ in range, and equalization rescues it",
    paper="cross-layer equalization restores MobileNets from near chance to close to floating point",
)
def equalization_rescues(runs):
    before = quantized(runs, "depthwise", "w8a8", "mse") - in_float(runs, "depthwise")
    after = quantized(runs, "depthwise", "w8a8", "cle") - in_float(runs, "depthwise")
    return holds(
        after.named("depthwise W8A8, equalized - float") >= -0.01,
        given=[before.named("depthwise W8A8, not equalized - float") < -0.01],
    )


@claim(
    "With weights of 4 bits, learned rounding is more accurate than rounding to the nearest",
    paper="AdaRound improves on rounding to the nearest at 4-bit weights",
)
def adaround_beats_nearest(runs):
    return holds(
        *(
            (quantized(runs, model, "w4a8", "adaround") - quantized(runs, model, "w4a8", "cle")).named(
                f"{model}: W4A8, AdaRound - nearest"
            )
            > 0
            for model in FLOAT
        )
    )


@claim(
    "With 4 bits for weights and inputs, training with quantizers is more accurate than quantizing after training",
    paper="quantization-aware training gives competitive results where post-training quantization does not",
)
def training_beats_quantizing(runs):
    return holds((trained(runs, "lsq_cnn", 4.0) - best_quantized(runs, "w4a4")).named("W4A4, LSQ - best PTQ") > 0)


@claim(
    "With weights of 2 bits it is more accurate as well",
    paper="the lower the bits, the more is gained by training",
)
def training_beats_quantizing_at_two_bits(runs):
    return holds((trained(runs, "lsq_cnn", 2.0) - best_quantized(runs, "w2a4")).named("W2A4, LSQ - best PTQ") > 0)


@figure
def cnn(runs, axes):
    _ladder(runs, axes, "cnn")
    for arm, bits, place, label in (
        ("lsq_cnn", 4.0, 2, "trained with quantizers (LSQ)"),
        ("lsq_cnn", 2.0, 3, None),
        ("ste_cnn", 4.0, 2, "the same, ranges fixed (STE)"),
    ):
        sample = trained(runs, arm, bits)
        marker, colour = ("*", "#000000") if arm == "lsq_cnn" else ("X", "#E69F00")
        axes.errorbar(
            place + 0.36, sample.mean, _bars(sample), fmt=marker, color=colour, markersize=8, linewidth=1, label=label
        )
    axes.set(title="CNN with batch norm")
    axes.legend(loc="lower left")


@figure
def depthwise(runs, axes):
    _ladder(runs, axes, "depthwise")
    axes.set(title="depthwise network, channels of unequal range")


@figure
def noise(runs, axes):
    for (model, arm), style in zip(FLOAT.items(), ("-", "--"), strict=True):
        for number, (method, label) in enumerate(METHODS.items()):
            samples = [runs.arm(arm)[f"ptq/{bits}/{method}/sqnr"] for bits in BITS]
            axes.plot(
                range(len(BITS)),
                [sample.mean for sample in samples],
                style,
                marker="o",
                markersize=3,
                color=f"C{number}",
                label=label if model == "cnn" else None,
            )
    axes.set_xticks(range(len(BITS)), [bits.upper() for bits in BITS])
    axes.set(title="noise of the logits (dashed: depthwise)", ylabel="signal to noise, dB")


def quantized(runs: Runs, model: str, bits: str, method: str) -> Sample:
    """Test accuracy after post-training quantization."""
    return runs.arm(FLOAT[model])[f"ptq/{bits}/{method}/acc"]


def in_float(runs: Runs, model: str) -> Sample:
    return runs.arm(FLOAT[model])["test/acc"]


def best_quantized(runs: Runs, bits: str) -> Sample:
    """For each seed, the best of the post-training methods on the CNN, as if one could choose it on the test set."""
    samples = [quantized(runs, "cnn", bits, method) for method in METHODS]
    values = tuple(max(own) for own in zip(*(sample.values for sample in samples), strict=True))
    return Sample(f"best PTQ {bits}", values, samples[0].seeds, samples[0].expected)


def trained(runs: Runs, arm: str, weight_bits: float) -> Sample:
    """Test accuracy after quantization-aware training of the CNN."""
    return runs.arm(arm).where({"transforms.quantizable.weight_bits": weight_bits})["test/acc"]


def _ladder(runs: Runs, axes: Any, model: str) -> None:
    for number, (method, label) in enumerate(METHODS.items()):
        samples = [quantized(runs, model, bits, method) for bits in BITS]
        places = [place + 0.12 * (number - 2) for place in range(len(BITS))]
        bars = [list(pair) for pair in zip(*(_bars(sample) for sample in samples), strict=True)]
        heights = [[one[0] for one in side] for side in bars]
        axes.errorbar(
            places,
            [sample.mean for sample in samples],
            heights,
            fmt="osD^v"[number],
            markersize=4,
            linewidth=1,
            label=label,
        )
    axes.axhline(in_float(runs, model).mean, color="0.5", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(BITS)), [bits.upper() for bits in BITS])
    axes.set(ylabel="test accuracy", ylim=(0, 1.05), xlabel="bits of weights and of layers' inputs")


def _bars(sample: Sample) -> list[list[float]]:
    """The 95 % interval's lengths below and above the mean, as `errorbar` takes them."""
    low, high = sample.interval
    return [[sample.mean - low], [high - sample.mean]]
