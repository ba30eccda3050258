"""The signal model of a bundle, on ONNX Runtime."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from voz_enrich.adapters.outbound.batches import plan
from voz_enrich.adapters.outbound.bundle import HEADS, VECTOR, Bundle, BundleError
from voz_enrich.adapters.outbound.language import Py3LangidIdentifier
from voz_enrich.adapters.outbound.reading import nothing_to_read, read_signals
from voz_enrich.adapters.outbound.tokens import Tokens
from voz_enrich.domain.signals import TextSignals
from voz_enrich.domain.text import cleaned

Outputs = Mapping[str, npt.NDArray[np.float32]]
_NAMES = (*HEADS, VECTOR)


class OnnxSignalModel:
    """A `SignalModel`. On one machine a text's logits are the same to the last bit alone, in any batch, any order and
    with any number of threads: weights are constants, its padded length is its own, one thread computes a batch."""

    def __init__(self, bundle: Bundle, languages: Py3LangidIdentifier, threads: int) -> None:
        """`threads`: batches computed at once, best as many as there are cores. Raises BundleError."""
        self._bundle = bundle
        self._languages = languages
        try:
            self._tokens = Tokens.read(bundle.folder, bundle.max_tokens)
        except (OSError, ValueError) as error:
            raise BundleError(str(error)) from error
        self._session = open_session(bundle.folder / "model.onnx")
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix="signal-model")
        outputs = {output.name for output in self._session.get_outputs()}
        if missing := [name for name in _NAMES if name not in outputs]:
            raise BundleError(f"{bundle.folder / 'model.onnx'}: no output named {', '.join(missing)}")

    @property
    def version(self) -> str:
        """The bundle's."""
        return self._bundle.version

    def analyse(self, texts: Sequence[str], languages: Sequence[str | None] | None = None) -> list[TextSignals]:
        """One answer for each text, in their order; see the port."""
        hints = languages if languages is not None else [None] * len(texts)
        if len(hints) != len(texts):
            raise ValueError(f"{len(texts)} texts with {len(hints)} language hints")
        readable = {index: clean for index, text in enumerate(texts) if (clean := cleaned(text))}
        answers = [nothing_to_read()] * len(texts)
        indexes = list(readable)
        for place, outputs in self.outputs(list(readable.values())):
            index = indexes[place]
            language = self._languages.identify(texts[index], hints[index])
            signals = read_signals(self._bundle, {name: outputs[name].tolist() for name in HEADS}, language)
            answers[index] = replace(signals, vector=outputs[VECTOR].tobytes())
        return answers

    def close(self) -> None:
        """Ends the threads; texts already given are finished first."""
        self._workers.shutdown()

    def outputs(self, texts: Sequence[str]) -> Iterator[tuple[int, Outputs]]:
        """The model's outputs for each text, cleaned before: its place among them, the logits of each head and the
        vector. One batch after the other, while the next are being computed: whoever reads one needn't wait for all."""
        rows = self._tokens.ids(texts)
        batches = list(plan([len(row) for row in rows]))
        computed = self._workers.map(lambda batch: self._run([rows[index] for index in batch[1]], batch[0]), batches)
        for (_, indexes), outputs in zip(batches, computed, strict=True):
            for place, index in enumerate(indexes):
                yield index, {name: outputs[name][place] for name in _NAMES}

    def _run(self, rows: Sequence[Sequence[int]], width: int) -> Outputs:
        ids, mask = self._tokens.padded(rows, width)
        outputs = self._session.run(list(_NAMES), {"input_ids": ids, "attention_mask": mask})
        return dict(zip(_NAMES, outputs, strict=True))


def open_session(path: Any) -> Any:
    """An `onnxruntime.InferenceSession` that computes with one thread a call; calls may run side by side."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
