"""What the layers share that give tokens numbers by a vocabulary."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from graphc import ops
from graphc.budget import claim
from graphc.trace import Tensor, Variable, current

from .encoding import batches_of, checked_mode, encode, is_symbolic
from .hashing import checked_salt, hash_bins
from .lookup_files import LookupFiles
from .vocabulary import Counts, checked_tokens, padded_weights, read_vocabulary

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


class IndexLookup(LookupFiles):
    """What `StringLookup` and `IntegerLookup` share.

    Indices are, in this order: 0 for the mask (with "int" and a mask_token), `num_oov_indices` for
    tokens that are not in the vocabulary, and the vocabulary.

    Args:
        max_tokens: most indices there may be, all of these counted; no limit by default.
        num_oov_indices: indices for other tokens. Where there are several, an integer's follows
            from its remainder, else from a hash (FarmHash's); where there are none, other tokens
            are errors.
        mask_token: a token that stands for nothing; none by default.
        oov_token: what `get_vocabulary` and `invert` call other tokens.
        vocabulary: the tokens, or the path of a text file with one a line; by default `adapt`
            takes them from data.
        idf_weights: of the tokens, with "tf_idf".
        invert: whether to turn indices into tokens.
        output_mode: "int" (default), int64; or vectors of float32: "one_hot", "multi_hot", "count"
            as in `CategoryEncoding`, "tf_idf", which is "count" times the tokens' weights.
        pad_to_max_tokens: whether vectors have max_tokens elements though the vocabulary is less.
        sparse: only False.
        salt: one or two ints, with which the hash is SipHash.
    """

    only_defaults: ClassVar[dict[str, Any]] = {"sparse": False}

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: Any = None,
        oov_token: Any = None,
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        vocabulary_size: int | None = None,
        has_input_vocabulary: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_tokens = max_tokens
        self.num_oov_indices = num_oov_indices
        self.mask_token = mask_token
        self.oov_token = oov_token
        self.invert = invert
        self.output_mode = checked_mode(type(self).__name__, output_mode, MODES)
        self.pad_to_max_tokens = pad_to_max_tokens
        self.oov_method = oov_method
        self.salt = checked_salt(type(self).__name__, salt)
        self._check(idf_weights)
        self._given: tuple[Any, Any] = vocabulary, idf_weights
        self._fixed = vocabulary is not None
        self._tokens: list[Any] = []
        self._index: dict[Any, int] = {}
        self._idf: Variable | None = None
        self._counts = Counts()
        self.known_size = self._checked_size(vocabulary_size)
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
        elif self.known_size is not None and output_mode == "tf_idf":
            what = f"layer {self.name!r}: idf_weights of {self.depth} terms"
            claim(self.depth, what)
            self._idf = Variable.blank((self.depth,), f"{self.name}/idf_weights", False, "float32")

    def _checked_size(self, size: Any) -> int | None:
        """How many indices there will be, when a file beside the configuration has the vocabulary.

        Raises:
            ValueError: for no such number.
        """
        if size is not None and (not isinstance(size, int) or size < len(self._special)):
            raise ValueError(
                f"{type(self).__name__}: vocabulary_size must be None or an int of at least "
                f"{len(self._special)}, the number of special tokens, got {size!r}"
            )
        return size

    def _check(self, idf_weights: Any) -> None:
        kind = type(self).__name__
        if self.max_tokens is not None and self.max_tokens <= 1:
            raise ValueError(f"{kind}: max_tokens must be greater than 1, got {self.max_tokens!r}")
        if self.pad_to_max_tokens and self.max_tokens is None:
            raise ValueError(f"{kind}: pad_to_max_tokens needs max_tokens")
        if not isinstance(self.num_oov_indices, int) or self.num_oov_indices < 0:
            raise ValueError(
                f"{kind}: num_oov_indices must be an int of at least 0, got "
                f"{self.num_oov_indices!r}"
            )
        if self.oov_method not in ("floormod", "farmhash"):
            raise ValueError(
                f"{kind}: oov_method must be 'floormod' or 'farmhash', got {self.oov_method!r}"
            )
        if self.invert and self.output_mode != "int":
            raise ValueError(f"{kind}: invert=True needs output_mode='int'")
        if idf_weights is not None and self.output_mode != "tf_idf":
            raise ValueError(f"{kind}: idf_weights are for output_mode='tf_idf'")

    # The vocabulary.

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the vocabulary.

        Args:
            vocabulary: tokens, with or without the special ones before, or a text file's path.
            idf_weights: as many, with "tf_idf".

        Raises:
            ValueError: when it is empty, has a token twice, or is too large.
        """
        given = read_vocabulary(vocabulary) if isinstance(vocabulary, str) else vocabulary
        tokens = checked_tokens(
            f"layer {self.name!r}", [self.token(t) for t in given], self._special, self.mask_token
        )
        if (self.output_mode == "tf_idf") != (idf_weights is not None):
            raise ValueError(f"layer {self.name!r}: idf_weights go with output_mode='tf_idf'")
        size = len(self._special) + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                f"layer {self.name!r}: the vocabulary has {size} terms with the special ones, "
                f"max_tokens is {self.max_tokens}"
            )
        before = self._given[0]
        if before is not None and not isinstance(before, str):  # which configurations have
            self._given = vocabulary, idf_weights
        self._take(tokens, idf_weights)

    def _take(self, tokens: list[Any], idf_weights: Any) -> None:
        self._tokens = tokens
        self.known_size = self.vocabulary_size()
        self._index = {token: at for at, token in enumerate(tokens, len(self._special))}
        if idf_weights is not None:
            whole = self.max_tokens if self.pad_to_max_tokens else None
            weights = padded_weights(idf_weights, len(tokens), len(self._special), whole)
            self._idf = Variable(weights, f"{self.name}/idf_weights", False)
        vars(self).pop("_eager_programs", None)  # which have the vocabulary before

    @property
    def depth(self) -> int:
        """The number of elements of vectors."""
        if self.pad_to_max_tokens:
            assert self.max_tokens is not None
            return self.max_tokens
        return self.vocabulary_size() if self._tokens else self.known_size or 0

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Takes the vocabulary from data: the most frequent tokens.

        Args:
            data: tokens, an array or a list whose rows are documents, or batches of such.
            steps: how many of the batches to take; all by default.

        Raises:
            ValueError: when a vocabulary was given.
        """
        if self._fixed:
            raise ValueError(f"layer {self.name!r}: a vocabulary was given; nothing to adapt")
        self.reset_state()
        whole = isinstance(data, (list, tuple, np.ndarray))
        for batch in batches_of(data, steps, (list, tuple, np.ndarray)):
            array = np.asarray(batch)
            self.update_state(array[:, None] if whole and array.ndim == 1 else array)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forgets the data, not the vocabulary."""
        self._counts = Counts()

    def update_state(self, data: Any) -> None:
        """Takes a batch into account, whose rows are documents."""
        array = np.atleast_1d(np.asarray(data))
        rows = array[None] if array.ndim == 1 else array
        self.count([self.token(t) for t in row.ravel().tolist()] for row in rows)

    def count(self, documents: Any) -> None:
        """Takes documents, sequences of tokens, into account."""
        self._counts.add(documents)

    def finalize_state(self) -> None:
        """Makes the vocabulary of the batches."""
        if self._fixed or not self._counts.tokens:
            return
        limit = None if self.max_tokens is None else self.max_tokens - len(self._special)
        special = [t for t in (self.mask_token, self.oov_token) if t is not None]
        tokens = self._counts.most_frequent(limit, special)
        self._take(tokens, self._counts.idf(tokens) if self.output_mode == "tf_idf" else None)
        self.reset_state()

    # Looking up.

    def __call__(self, inputs: Any) -> Any:
        if is_symbolic(inputs):
            return super().__call__(inputs)
        if self.invert:
            return self._named(np.asarray(inputs))
        indices = self.indices(np.asarray(inputs))
        return indices if self.output_mode == "int" else self.encoded(indices)

    def encoded(self, indices: np.ndarray) -> np.ndarray:
        """Vectors of indices, computed by compiled code."""
        result: np.ndarray = super().__call__(indices, are_indices=True)
        return result

    def _named(self, indices: np.ndarray) -> np.ndarray:
        names = [*self.get_vocabulary(), self.oov_token]
        inside = (indices >= 0) & (indices < len(names) - 1)
        return np.asarray(names)[np.where(inside, indices, len(names) - 1)]

    def indices(self, values: np.ndarray) -> np.ndarray:
        """The indices (int64) of tokens; with vectors -1 for the mask, which counts nowhere.

        Raises:
            ValueError: for tokens that are not in the vocabulary, if there are no indices for them.
        """
        self.ensure_vocabulary()
        different, places = np.unique(values, return_inverse=True)
        tokens = [self.token(t) for t in different.tolist()]
        index = dict(self._index)
        if self.mask_token is not None:
            index[self.mask_token] = 0 if self.output_mode == "int" else -1
        other = [at for at, token in enumerate(tokens) if token not in index]
        found = np.array([index.get(token, 0) for token in tokens], np.int64)
        if other and not self.num_oov_indices:
            raise ValueError(
                f"layer {self.name!r}: not in the vocabulary: {[tokens[at] for at in other[:10]]}; "
                "with num_oov_indices=1 there is an index for them"
            )
        if other:
            found[other] = self._oov_start + self._oov([tokens[at] for at in other])
        return found[places].reshape(values.shape)

    def _oov(self, tokens: list[Any]) -> np.ndarray:
        """Which of the indices for others, for each token."""
        if self.num_oov_indices == 1:
            return np.zeros(len(tokens), np.int64)
        return hash_bins(tokens, self.num_oov_indices, self.salt)

    def call(self, inputs: Any, are_indices: bool = False) -> Tensor:
        if self.known_size is None or not current().shapes_only:
            self.ensure_vocabulary()
        indices = inputs if are_indices else self.compiled_indices(inputs)
        if self.output_mode == "int" or self.invert:
            return ops.convert_to_tensor(indices)
        if self.output_mode != "tf_idf":
            return encode(indices, self.output_mode, self.depth)
        return ops.multiply(encode(indices, "count", self.depth), self._idf)

    def compiled_indices(self, inputs: Tensor) -> Tensor:
        """Indices of a model's tensor.

        Raises:
            ValueError: when there are none.
        """
        raise ValueError(
            f"{type(self).__name__} works on strings, which models do not take: call it on the "
            "data, and the model on the result"
        )
