"""nlsh for ann-benchmarks: this folder goes to ann_benchmarks/algorithms/nlsh of its tree."""

import nlsh

from ..base.module import BaseANN


class NLSH(BaseANN):
    """One index; each point of the curve is a recall that is asked for."""

    def __init__(self, metric, settings):
        self.metric = {"euclidean": "l2", "angular": "cosine", "ip": "ip"}[metric]
        self.settings = settings
        self.recall = 0.95
        self.index = None

    def fit(self, X):
        self.index = nlsh.build(X, self.metric, progress=False, threads=1, **self.settings)
        self.search = self.index.search

    def set_query_arguments(self, recall):
        self.recall = recall

    def query(self, q, n):
        ids, _ = self.search(q, n, self.recall)
        return ids if ids[-1] != nlsh.NO_KEY else ids[ids != nlsh.NO_KEY]

    def batch_query(self, X, n):
        self.found, _ = self.search(X, n, self.recall)

    def get_batch_results(self):
        return [ids[ids != nlsh.NO_KEY] for ids in self.found]

    def get_additional(self):
        return {"buckets": self.index.info.n_buckets}

    def done(self):
        if self.index is not None:
            self.index.close()

    def __str__(self):
        return f"nlsh({self.settings}, recall={self.recall})"
