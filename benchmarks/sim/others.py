"""How others judge a canary, as they are mostly set up: which runs are rolled back within 24 hours."""

import numpy as np
from scipy.stats import norm, rankdata

from benchmarks.sim.process import Floats, Ints
from benchmarks.sim.traffic import Traffic

HOUR = 60


def fixed_threshold(traffic: Traffic, most: float, failure_limit: int) -> Ints:
    """Check each five minutes that the canary's error rate is at most `most`; roll back after more failures.

    The form of metric checks in Argo Rollouts and Flagger (`failureLimit`, `threshold`).
    """
    n, bad = (_every(counts, 5) for counts in (traffic.canary.n, traffic.canary.bad))
    failed = bad > most * n
    return np.asarray(failed.sum(axis=1) > failure_limit)


def mann_whitney(traffic: Traffic, level: float = 0.02) -> Ints:
    """Compare the error rates of the last 60 minutes with those of a baseline as large, once an hour.

    The form of Kayenta: two-sided at 98 %, normal approximation with ties; fails where the canary is higher.
    """
    rates = [
        (counts.bad / np.maximum(counts.n, 1)).reshape(-1, HOUR)
        for counts in (traffic.canary, traffic.baseline)
    ]
    ranks = rankdata(np.concatenate(rates, axis=1), axis=1)
    n = ranks.shape[1]
    surplus = ranks[:, :HOUR].sum(axis=1) - HOUR * (n + 1) / 2
    ties = n * (n + 1) * (2 * n + 1) / 6 - (ranks**2).sum(axis=1)  # sum(t^3 - t) / 12
    variance = HOUR * HOUR / (n * (n - 1)) * ((n**3 - n) / 12 - ties)
    failed = surplus > norm.isf(level / 2) * np.sqrt(np.maximum(variance, 1e-12))
    return np.asarray(failed.reshape(len(traffic.canary.n), -1).any(axis=1))


def peeking_z(traffic: Traffic, every: int = 15, level: float = 0.05) -> Ints:
    """Test all calls so far by the two-proportion z, one-sided at 5 %, each quarter of an hour."""
    (n_c, bad_c), (n_s, bad_s) = (
        (np.cumsum(_every(arm.n, every), axis=1), np.cumsum(_every(arm.bad, every), axis=1))
        for arm in (traffic.canary, traffic.stable)
    )
    return np.asarray((_z(n_c, bad_c, n_s, bad_s) > norm.isf(level)).any(axis=1))


def _z(n_c: Ints, bad_c: Ints, n_s: Ints, bad_s: Ints) -> Floats:
    n_c, n_s = np.maximum(n_c, 1), np.maximum(n_s, 1)
    pooled = (bad_c + bad_s) / (n_c + n_s)
    error = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / n_c + 1 / n_s))
    return np.asarray((bad_c / n_c - bad_s / n_s) / error)


def _every(counts: Ints, minutes: int) -> Ints:
    return np.asarray(counts.reshape(len(counts), -1, minutes).sum(axis=2))
