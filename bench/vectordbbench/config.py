from pydantic import BaseModel

from ..api import DBCaseConfig, DBConfig, MetricType


class NlshConfig(DBConfig):
    path: str

    def to_dict(self) -> dict:
        return {"path": self.path}


class NlshIndexConfig(BaseModel, DBCaseConfig):
    metric_type: MetricType | None = None  # the case's, once it runs
    recall: float = 0.95

    def index_param(self) -> dict:
        names = {MetricType.L2: "l2", MetricType.COSINE: "cosine", MetricType.IP: "ip", MetricType.DP: "ip"}
        return {"metric": names[self.metric_type]}

    def search_param(self) -> dict:
        return {"recall": self.recall}
