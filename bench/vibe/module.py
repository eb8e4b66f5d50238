"""nlsh for VIBE: this folder goes to vibe/algorithms/nlsh of its tree."""

import nlsh

from ..base.module import BaseANN

METRICS = {"euclidean": "l2", "cosine": "cosine", "normalized": "cosine", "ip": "ip"}


class NLSH(BaseANN):
    """One index; each point of the curve is a recall that is asked for."""

    def __init__(self, metric, buckets):
        if metric not in METRICS:
            raise NotImplementedError(f"nlsh does not support metric {metric}")
        self.metric, self.buckets, self.recall = METRICS[metric], buckets, 0.95

    def fit(self, X):
        self.fit_ood(X, None, None)

    def fit_ood(self, X_train, X_learn, X_learn_neighbors):
        """The sample of queries teaches and calibrates; of its neighbours nlsh finds those it needs itself."""
        self.index = nlsh.build(X_train, self.metric, self.buckets, progress=False, threads=1, train_queries=X_learn)
        self.search = self.index.search

    def set_query_arguments(self, recall):
        self.recall = recall

    def query(self, q, n):
        ids, _ = self.search(q, n, self.recall)
        return ids if ids[-1] != nlsh.NO_KEY else ids[ids != nlsh.NO_KEY]

    def __str__(self):
        return f"NLSH(buckets={self.buckets}, recall={self.recall})"
