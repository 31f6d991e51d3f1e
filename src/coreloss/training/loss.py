"""The loss: binary cross-entropy, and 1 - macro soft F1 beside it (Annys et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

__all__ = ["ambiguity_weights", "multilabel_loss", "soft_f1"]


def soft_f1(probability: Tensor, present: Tensor) -> Tensor:
    """Macro F1 with probabilities for counts, over (n, n_elements).

    As in the public code of Annys et al. it is the mean over all elements; the F1 of one that
    does not occur in the batch is zero whatever is said.
    """
    true = (probability * present).sum(dim=0)
    return (2.0 * true / (probability.sum(dim=0) + present.sum(dim=0) + 1e-8)).mean()


def multilabel_loss(
    logits: Tensor,
    present: Tensor,
    weight: Tensor,
    f1_weight: float,
    *,
    smoothing: float = 0.0,
    target: Tensor | None = None,
) -> Tensor:
    """Loss of a batch, in float32, summed over elements and averaged over spectra.

    Parameters
    ----------
    logits, present, weight : Tensor, (n, n_elements)
        ``weight`` is that of the cross-entropy.
    f1_weight : float
        Weight of 1 - macro soft F1; 1 gives it that of the cross-entropy's mean over the
        elements, as in Annys et al.
    smoothing : float
        Labels of the cross-entropy move by half of it towards one half.
    target : Tensor, (n, n_elements), optional
        Probabilities that stand for the labels in the cross-entropy: those of a teacher.
    """
    logits = logits.float()
    target = present if target is None else target
    if smoothing:
        target = target * (1.0 - smoothing) + 0.5 * smoothing
    entropy = binary_cross_entropy_with_logits(logits, target, weight, reduction="none")
    loss = entropy.sum(dim=1).mean()
    if f1_weight > 0:
        # the paper averages the cross-entropy over the elements, here it is their sum
        scale = f1_weight * logits.shape[1]
        loss = loss + scale * (1.0 - soft_f1(torch.sigmoid(logits), present))
    return loss


def ambiguity_weights(snr: Tensor, low: float, high: float, weight: float) -> Tensor:
    """``weight`` where the signal-to-noise ratio lies between the limits, else 1."""
    return torch.where((snr > low) & (snr < high), weight, 1.0)
