// Package tracing follows requests with OpenTelemetry: from the client, through
// the broker's queue, to the handler.
//
// [Client] and [Stream] go around what sends requests, [Worker] around a handler:
//
//	d := tracing.Client(c)                       // c: a client.Client or client.Pipeline
//	reply, err := d.Do(ctx, client.Request{Service: "resize", Body: picture})
//
//	w, err := worker.New(cfg, tracing.Worker()(handler))
//
// A request then makes three spans:
//
//	request resize      CLIENT    from Do to its outcome; a child of what ctx holds
//	├─ queue resize     INTERNAL  how long this attempt waited for a handler
//	└─ handle resize    SERVER    the handler; its context holds this span
//
// The broker takes no part in it. It hands on the W3C traceparent that the client
// puts into the request (client.Request.Trace), and tells the worker for how long
// the request has waited in the queue (worker.Request.Waited), so that the worker
// makes both spans, by its own clock: "queue" ends where "handle" begins.
//
// # Redelivery
//
// A request that is handed out again, because its worker was lost, say, makes
// "queue" and "handle" once more. All attempts have the same trace and the same
// parent, the request's span. Each attempt after the first has, besides, a link to
// that span with the attribute privateer.redelivery=true: look for it to find what
// was handed out again, and the attempts before it beside it, by privateer.attempt.
// A worker that is killed takes the spans that it has not exported yet with it.
//
// # Without a trace
//
// A request that has no traceparent, or a malformed one, is handled all the same:
// "handle" is then the root of a new trace, and there is no "queue"; how long it
// waited is in the attribute privateer.waited_ms of "handle", as always.
//
// # Attributes
//
// Those of OpenTelemetry's semantic conventions where they exist:
// messaging.system ("privateer"), messaging.destination.name (the service),
// messaging.operation.name ("request", "queue", "handle"),
// messaging.operation.type ("send", "receive", "process"), messaging.message.id
// (the request's id) and error.type (the outcome's code, or "panic"). And:
//
//	privateer.outcome       string  code: OK, FAILED, WORKER_LOST …; of a handler also RETRY
//	privateer.attempt       int     of the handler; of a reply: the one that answered
//	privateer.certainty     string  request: ran, maybe-started or not-started
//	privateer.tries         int     request: sendings that it took
//	privateer.retryable     bool    request that failed: asking again may succeed
//	privateer.failed_over   bool    request: another broker was asked before
//	privateer.broker        string  request: endpoint of the broker that answered
//	privateer.parts         int     request by Stream: parts before the end
//	privateer.handler_code  string  FAILED: the handler's own code
//	privateer.maybe_rerun   bool    handler: an earlier attempt may have run
//	privateer.waited_ms     int     handler: how long it waited
//	privateer.cancelled     string  handler whose context has ended meanwhile: why
//	privateer.redelivery    bool    of a link: see above
//
// Every outcome but OK sets the span's status to Error and is recorded as an
// exception. Bodies are not recorded.
//
// # What is used
//
// The tracer provider and propagator are OpenTelemetry's globals, as they are when
// a span begins, unless [WithTracerProvider] and [WithPropagator] say otherwise.
// The global propagator is one that does nothing until the program sets it:
//
//	otel.SetTextMapPropagator(propagation.TraceContext{})
//
// What a propagator carries besides traceparent (tracestate, baggage) travels as
// headers of the request, as long as they take no more than 4 KiB with the user's.
package tracing
