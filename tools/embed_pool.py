"""`embed_pool`: a vector for every item, computed once for each encoder."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from ..store.records import Artefact, Charge
from ..store.vectors import Vectors
from .base import Outcome, Tool, ToolArgs, ToolContext

CHUNK = 2048
"""Rows between two marks on disk: what a killed run may have to embed again."""


class EmbedArgs(ToolArgs):
    """`embed_pool` takes no arguments."""


class EmbedPool(Tool[EmbedArgs]):
    """Embeds the unique items that have no vector yet."""

    name = "embed_pool"
    description = "Compute the sentence embeddings of all pool items that lack one."
    Args = EmbedArgs

    def run(self, context: ToolContext, args: EmbedArgs) -> Outcome:
        """Fill the vectors of the unique rows; see `Tool.run`."""
        started = time.perf_counter()
        encoder = context.bench.encoder
        rows = context.pool.unique_rows
        vectors = Vectors(context.store.folder, encoder.digest, len(context.pool), encoder.dim)
        missing = vectors.missing(rows)
        embed_missing(context, vectors, missing)
        value = {"encoder": encoder.name, "digest": encoder.digest, "dim": encoder.dim}
        return Outcome(
            result={"embedded": len(missing), "items": len(rows), "dim": encoder.dim},
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=(Artefact("vectors", {**value, "rows": len(rows)}),),
        )


def embed_missing(context: ToolContext, vectors: Vectors, missing: NDArray[np.int64]) -> None:
    """Encode `missing` rows in chunks of like length and write them as they come.

    Like lengths in a chunk keep padding small; the chunks go to disk one by one, so that a run
    that is stopped goes on where it was.
    """
    if not len(missing):
        return
    table = context.pool.table
    lengths = np.asarray(_lengths(table, missing))
    order = missing[np.argsort(-lengths, kind="stable")]
    with context.bench.progress.task("Embedding", total=len(order)) as bar:
        for start in range(0, len(order), CHUNK):
            rows = np.sort(order[start : start + CHUNK])
            vectors.put(rows, context.bench.encoder.encode(context.pool.texts(rows)))
            bar.advance(len(rows))


def _lengths(table: object, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.column("text").take(pa.array(rows))  # type: ignore[attr-defined]
    lengths: NDArray[np.int64] = pc.utf8_length(column).to_numpy()
    return lengths
