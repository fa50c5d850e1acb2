"""What the two texts of a pair share and do not share, as features of a linear model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from ..pair_similarity import fields_of, overlaps, similarities
from ..pairs import is_pair, split_pair

MAX_TERMS = 60_000
MAX_FIELDS = 32
# A field that fewer of the pairs have says nothing of the others.
FIELD_SHARE = 0.1
# Measured on the validation pairs of DBLP-ACM with 100 and 300 labels: 0.5, 1, 2, 4 fall slowly.
SIMILARITY_SCALE = 0.5


class PairTerms(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features (n, F) of n pairs as `pairs.join_pair` makes them; zeros for a text that is none.

    1. The TF-IDF weights u and v of words in the two texts, as min(u, v), what both have, and
       |u - v|, what only one has; norm 1 together.
    2. `pair_similarity.similarities` of the texts, times `SIMILARITY_SCALE`.
    3. For each field of the records that at least a tenth of the pairs have: the `overlaps` of
       its values, times the same, and 1 if one of the records lacks it.

    A scikit-learn transformer: what `fit` learns are the words with their weights and the fields.
    """

    def fit(self, texts: Sequence[str], _targets: object = None) -> PairTerms:
        """Learn words and fields from n texts, at least one of them a pair."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        parts = [part for text in texts if is_pair(text) for part in split_pair(text)]
        self.words_ = TfidfVectorizer(
            sublinear_tf=True,
            max_features=MAX_TERMS,
            dtype=np.float32,
            token_pattern=r"\w+|[^\w\s]",
        )
        # One more text, so that there is a word even where all pairs are empty.
        self.words_.fit([*parts, "."])
        counts = Counter(name for part in parts for name in fields_of(part))
        often = [name for name, count in counts.items() if count >= FIELD_SHARE * len(parts)]
        self.fields_ = sorted(often, key=lambda name: (-counts[name], name))[:MAX_FIELDS]
        return self

    def transform(self, texts: Sequence[str]) -> Any:
        """A sparse matrix (n, F), float32."""
        from scipy.sparse import csr_matrix, diags, hstack
        from sklearn.preprocessing import normalize

        pairs = [split_pair(text) for text in texts]
        sides = [[pair[side] for pair in pairs] for side in (0, 1)]
        u, v = (self.words_.transform(side) for side in sides)
        both = u.minimum(v)
        parts = [normalize(hstack([both, u.maximum(v) - both], format="csr"))]
        parts.append(csr_matrix(SIMILARITY_SCALE * similarities(*sides)))
        records = [[fields_of(text) for text in side] for side in sides]
        for name in self.fields_:
            values = [[record.get(name, "") for record in side] for side in records]
            lacking = [not all(pair) for pair in zip(*values, strict=True)]
            parts.append(csr_matrix(SIMILARITY_SCALE * overlaps(*values)))
            parts.append(csr_matrix(np.array(lacking, dtype=np.float32)[:, None]))
        known = np.array([is_pair(text) for text in texts], dtype=np.float32)
        return (diags(known) @ hstack(parts, format="csr")).astype(np.float32)
