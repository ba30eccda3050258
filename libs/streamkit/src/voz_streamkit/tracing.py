"""Traces across Kafka: the W3C `traceparent` rides in the record's headers (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def configure_tracing(service: str, endpoint: str | None) -> None:
    """Make spans, and export them when an OTLP/HTTP endpoint is named."""
    provider = TracerProvider(resource=Resource.create({"service.name": f"voz-{service}"}))
    if endpoint:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)


def tracer() -> trace.Tracer:
    """Where Voz's spans come from; a no-op until tracing is configured."""
    return trace.get_tracer("voz")


def inject_traceparent(within: Context | None = None) -> str:
    """The current span's `traceparent`; empty when there is none."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier, within or context.get_current())
    return carrier.get("traceparent", "")


def extract_context(headers: Iterable[tuple[str, bytes | None]]) -> Context:
    """The context that a record's headers carry."""
    return propagate.extract({name: value.decode("ascii", "ignore") for name, value in headers if value})
