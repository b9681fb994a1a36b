from pathlib import Path
import polars
from expkit.errors import UserError
from expkit.records.index import Index
from expkit.records.metrics import read
from expkit.records.store import Store


def runs(*which, root=None, where=None):
    store = Store(root)
    frame = Index(store.root).frame()
    if frame.is_empty():
        return frame.with_columns(*(polars.lit(None).alias(n) for n in ("started","seconds","path","step")))
    frame = frame.with_columns(path=polars.concat_str([polars.lit(str(store.root.absolute())), "experiment", "run_id"], separator="/"))
    frame = frame.drop([n for n in frame.columns if n.startswith("_")]).sort("started", descending=True, nulls_last=True)
    if where:
        try:
            for part in where.split(" and "):
                import re
                key, op, value = re.match(r"\s*([\w./]+)\s*(<=|>=|<|>|==|=|!=)\s*(\S+)\s*", part).groups()
                col = polars.col(key); value = float(value) if re.match(r"[\d.-]", value) else value
                frame = frame.filter({"<": col < value, ">": col > value, "=": col == value, "==": col == value, "!=": col != value}[op])
        except Exception as e:
            raise UserError(f"not a condition: {where}") from e
    return frame


def history(frame, metrics=None):
    parts = []
    for run_id, path in frame.select("run_id", "path").iter_rows():
        try:
            part = read(Path(path) / "metrics.parquet")
        except Exception:
            continue
        names = [n for n in part.columns if n != "step" and (metrics is None or n in metrics)]
        parts.append(part.select(polars.lit(run_id).alias("run_id"), "step", *names))
    return polars.concat(parts, how="diagonal") if parts else polars.DataFrame(schema={"run_id": polars.String, "step": polars.Int64})
