"""Traces, where somebody collects them: an OTLP endpoint is set (docs/operations.md, "Traces").

OpenTelemetry is optional (`requirements-tracing.txt`). Without an endpoint nothing of it is imported, and every function
here returns at once. Each process begins its own exporter, since the thread that exports does not survive a fork.

What stands in a span is chosen here and by the callers, one attribute at a time: no address, subject, path, query,
answer or text of an error.
"""

import atexit
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanContext, Tracer

log = structlog.get_logger(__name__)

SERVICE = "back-office-marchand"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PACKAGES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
# How long the end of a process waits for spans that nobody takes.
STOP_SECONDS = 5.0
Attributes = Mapping[str, str | int | bool]


@dataclass
class _State:
    """What this process knows."""

    is_on: bool = False
    pid: int = 0
    provider: "TracerProvider | None" = None
    tracer: "Tracer | None" = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_state = _State()


def _after_fork() -> None:
    # Another thread of the parent may have held it.
    _state.lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def configure(values: Mapping[str, str]) -> None:
    """Take the settings of OpenTelemetry, wherever they were read; the library looks for them in the environment."""
    for name, value in values.items():
        if value:
            os.environ[name] = value
        else:
            # The library takes an empty variable, as a file of settings leaves it, for a value.
            os.environ.pop(name, None)
    wanted = any(values.get(name) for name in ENDPOINTS)
    _state.is_on = wanted and os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"


def is_on() -> bool:
    """Whether spans are made."""
    return _state.is_on


def missing_packages() -> bool:
    """Whether traces are wanted and their packages are not installed."""
    return any(os.environ.get(name) for name in ENDPOINTS) and not _is_installed()


def _is_installed() -> bool:
    try:
        return all(find_spec(name) for name in _PACKAGES)
    except ModuleNotFoundError:
        return False


def start() -> "Tracer | None":
    """Begin to export from this process, once; None where traces are off, or cannot be had."""
    if not _state.is_on:
        return None
    if _state.pid != os.getpid():
        with _state.lock:
            if _state.pid != os.getpid():
                _begin()
    return _state.tracer


def _begin() -> None:
    if not _is_installed():
        _state.is_on = False
        log.error("tracing_packages_missing", install="pip install --require-hashes -r requirements-tracing.txt")
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
    resource = Resource.create({**named, "process.pid": os.getpid()})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    atexit.register(stop)
    _state.provider, _state.tracer, _state.pid = provider, provider.get_tracer("backoffice"), os.getpid()


def stop() -> None:
    """Export what is left, for a few seconds at most; for the end of a process that leaves without its last words."""
    provider = _state.provider
    if provider is None or _state.pid != os.getpid():
        return
    _state.is_on, _state.provider, _state.tracer = False, None, None
    ending = threading.Thread(target=provider.shutdown, name="spans", daemon=True)
    ending.start()
    ending.join(STOP_SECONDS)


# --- The span in hand -----------------------------------------------------------------------------


def traceparent() -> str:
    """The span in hand as W3C Trace Context writes it; empty where there is none."""
    if not _state.is_on or (context := _current()) is None:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def ids() -> dict[str, str]:
    """What log lines say of the span in hand."""
    if not _state.is_on or (context := _current()) is None:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _current() -> "SpanContext | None":
    if _state.pid != os.getpid():
        # No span was begun in this process.
        return None
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    return context if context.is_valid else None


def context_of(headers: Mapping[str, str]) -> "Context | None":
    """The context that somebody sends as `traceparent` and `tracestate`; None where it is none."""
    if not headers.get("traceparent") or start() is None:
        return None
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(headers, Context())


def span_context_of(text: str) -> "SpanContext | None":
    """The span that a stored `traceparent` names."""
    context = context_of({"traceparent": text})
    if context is None:
        return None
    from opentelemetry import trace

    named_span = trace.get_current_span(context).get_span_context()
    return named_span if named_span.is_valid else None


# --- Making spans ---------------------------------------------------------------------------------


@contextmanager
def span(name: str, kind: str, attributes: Attributes, *, parent: "Context | None" = None) -> Iterator["Span | None"]:
    """A span around what is done inside; None where traces are off. Of an error only its class is told.

    Args:
        kind: the name of a `SpanKind`.
        parent: of another process; without it the span in hand.
    """
    tracer = start()
    if tracer is None:
        yield None
        return
    from opentelemetry.trace import SpanKind

    with tracer.start_as_current_span(
        name, parent, SpanKind[kind], attributes, record_exception=False, set_status_on_exception=False
    ) as begun:
        try:
            yield begun
        except Exception as error:
            fail(begun, type(error).__name__)
            raise


def fail(failed: "Span", kind: str) -> None:
    """Mark a span as failed, by the class of the error; its words may name people."""
    from opentelemetry.trace import StatusCode

    failed.set_attribute("error.type", kind)
    failed.set_status(StatusCode.ERROR)


@dataclass
class Past:
    """A span of something that is over.

    Attributes:
        began, ended: seconds since 1970.
        error: the class of what went wrong, empty where nothing did.
        parent: a `traceparent`; empty: a trace of its own.
        links: further spans that led to it.
        inner: what happened within it.
    """

    name: str
    kind: str
    attributes: Attributes
    began: float
    ended: float
    error: str = ""
    parent: str = ""
    links: Sequence["SpanContext"] = ()
    inner: Sequence["Past"] = ()


@contextmanager
def told(past: Past) -> Iterator["SpanContext | None"]:
    """Make a span of what is over; it is the one in hand meanwhile, for a log line. None where traces are off."""
    tracer = start()
    if tracer is None:
        yield None
        return
    from opentelemetry.context import Context

    # Whatever is in hand has nothing to do with it.
    with _made(tracer, past, context_of({"traceparent": past.parent}) or Context()) as context:
        yield context


@contextmanager
def _made(tracer: "Tracer", past: Past, parent: "Context") -> Iterator["SpanContext"]:
    from opentelemetry.context import get_current
    from opentelemetry.trace import Link, SpanKind, use_span

    links = [Link(context) for context in past.links]
    made = tracer.start_span(
        past.name, parent, SpanKind[past.kind], past.attributes, links, start_time=_nanoseconds(past.began)
    )
    if past.error:
        fail(made, past.error)
    try:
        with use_span(made, end_on_exit=False, record_exception=False, set_status_on_exception=False):
            for inner in past.inner:
                with _made(tracer, inner, get_current()):
                    pass
            yield made.get_span_context()
    finally:
        made.end(_nanoseconds(max(past.ended, past.began)))


def now() -> float:
    """Seconds since 1970, by the clock of this machine: that of spans, whatever time is taken for what is due."""
    return time.time()


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)


def named(_logger: Any, _method: str, line: Any) -> Any:
    """A structlog processor: the line with the ids of the span in hand."""
    if _state.is_on:
        line.update(ids())
    return line
