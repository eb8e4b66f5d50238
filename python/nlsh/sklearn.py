"""A transformer of scikit-learn: the graph of nearest neighbours, for all that takes a precomputed one.

    from sklearn.cluster import DBSCAN
    from sklearn.pipeline import make_pipeline
    from nlsh.sklearn import NLSHTransformer

    make_pipeline(NLSHTransformer(n_neighbors=20), DBSCAN(metric="precomputed")).fit_predict(X)

It keeps the contract of sklearn.neighbors.KNeighborsTransformer, and is approximate.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import NO_KEY
from ._learning import build

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before 1.6 it was a method

    def validate_data(estimator, X, **options):
        return estimator._validate_data(X, **options)


class NLSHTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """X [n, dim] to a sparse graph [n, n_fitted] of its nearest fitted vectors.

    Parameters
    ----------
    mode : "distance" or "connectivity"
        What the graph holds: distances, or ones.
    n_neighbors : int
        Neighbours a row. With "distance" there is one more, since a fitted vector finds itself.
    metric : "l2", "ip" or "cosine"
        With "ip" distances are negative: consumers of scikit-learn want "l2" or "cosine".
    recall : float between 0 and 1
        The share of true neighbours wanted, as the build measures it.
    n_jobs : int or None
        Threads; None: 1, -1: all processors.
    random_state : int, RandomState or None
        Where the build's random numbers start.
    settings : dict or None
        Of the build, by name: {"buckets": 256, "epochs": 10}; see nlsh.build().

    Attributes
    ----------
    index_ : nlsh.Index
    n_samples_fit_ : int
    n_features_in_ : int
    """

    def __init__(self, mode: str = "distance", n_neighbors: int = 5, metric: str = "l2", recall: float = 0.95,
                 n_jobs: int | None = None, random_state: Any = None, settings: dict[str, Any] | None = None):
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.recall = recall
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.settings = settings

    def fit(self, X: Any, y: Any = None) -> NLSHTransformer:
        """Builds an index of the rows of X, array [n, dim]."""
        if self.mode not in ("distance", "connectivity"):
            raise ValueError(f'mode is {self.mode!r}: take "distance" or "connectivity"')
        if not isinstance(self.n_neighbors, Integral) or self.n_neighbors < 1:
            raise ValueError(f"n_neighbors is {self.n_neighbors!r}: give a whole number from 1 on")
        X = validate_data(self, X, dtype=[np.float32, np.float64], order="C", ensure_min_samples=2)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.index_ = build(X, self.metric, seed=seed, progress=False, threads=self._threads(),
                            **(self.settings or {}))
        self.n_samples_fit_ = X.shape[0]
        return self

    def transform(self, X: Any) -> csr_matrix:
        """The graph of the rows of X, array [n_queries, dim]: CSR [n_queries, n_samples_fit_], each row by
        rising distance."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], order="C", reset=False)
        k = self.n_neighbors + (self.mode == "distance")
        if k > self.n_samples_fit_:
            raise ValueError(f"n_neighbors is {self.n_neighbors}, but only {self.n_samples_fit_} vectors "
                             "were fitted")
        ids, distances = self.index_.search(X, k, self.recall, threads=self._threads())
        # A query whose buckets hold fewer than k looks into all of them: consumers want full rows.
        short = np.flatnonzero(ids[:, -1] == NO_KEY)
        if short.size:
            ids[short], distances[short] = self.index_.search(X[short], k, probes=self.index_.info.n_buckets)
        values = distances.astype(X.dtype) if self.mode == "distance" else np.ones_like(ids, X.dtype)
        starts = np.arange(0, ids.size + 1, k)
        return csr_matrix((values.ravel(), ids.astype(np.int64).ravel(), starts),
                          shape=(X.shape[0], self.n_samples_fit_))

    def _threads(self) -> int | None:
        if self.n_jobs is None:
            return 1
        return None if self.n_jobs < 0 else self.n_jobs

    @property
    def _n_features_out(self) -> int:
        return self.n_samples_fit_

    def _more_tags(self) -> dict[str, Any]:
        return {"preserves_dtype": [np.float32, np.float64]}
