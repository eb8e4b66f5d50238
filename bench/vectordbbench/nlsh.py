"""nlsh for VectorDBBench: an index file of this machine, with its log beside it."""

import os
import threading
from contextlib import contextmanager

import numpy as np

import nlsh

from ...filter import Filter, FilterOp
from ..api import VectorDB
from .config import NlshIndexConfig


class Nlsh(VectorDB):
    supported_filter_types: list[FilterOp] = [FilterOp.NonFilter, FilterOp.NumGE]
    name = "Nlsh"
    thread_safe = True  # searches of one index run beside each other, a writer's threads by turns

    def __init__(self, dim: int, db_config: dict, db_case_config: NlshIndexConfig, collection_name: str = "nlsh",
                 drop_old: bool = False, **kwargs):
        self.recall = db_case_config.search_param()["recall"]
        folder = db_config["path"]
        self.path = os.path.join(folder, collection_name + ".nlsh")
        self._leave()
        if drop_old:
            os.makedirs(folder, exist_ok=True)
            for path in (self.path, self.path + "-log"):
                if os.path.exists(path):
                    os.remove(path)
        if not os.path.exists(self.path):
            nlsh.create(self.path, dim, metric=db_case_config.index_param()["metric"])

    def _leave(self):
        """What another process is not given."""
        self.index = self.writer = self.filter = self.opening = None

    @contextmanager
    def init(self):
        self.index, self.opening = nlsh.open(self.path), threading.Lock()
        try:
            yield
        finally:
            if self.writer is not None:
                self.writer.close()
            self._leave()

    def insert_embeddings(self, embeddings: list[list[float]], metadata: list[int], labels_data=None,
                          tenant_labels_data=None, **kwargs) -> tuple[int, Exception | None]:
        try:
            with self.opening:
                if self.writer is None:
                    self.writer = nlsh.open_writer(self.path, sync="interval")
            self.writer.put(metadata, np.asarray(embeddings, "f4"))
        except nlsh.Error as error:
            return 0, error
        return len(metadata), None

    def optimize(self, data_size: int | None = None):
        """Buckets and router are learned from all that came."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None
        nlsh.compact(self.path, retrain=True, progress=False)
        self.index = self.index.refresh()

    def prepare_filter(self, filters: Filter):
        if filters.type == FilterOp.NumGE:
            self.filter = self.index.fit(lambda key: key >= filters.int_value)

    def search_embedding(self, query: list[float], k: int = 100, **kwargs) -> list[int]:
        if self.writer is not None:  # what was inserted since
            self.index = self.index.refresh()
        ids, _ = self.index.search(np.asarray(query, "f4"), k, self.recall, filter=self.filter)
        return ids[ids != nlsh.NO_KEY].tolist()
