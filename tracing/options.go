package tracing

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// scope names this instrumentation to the tracer provider.
const scope = "github.com/privateer-mq/privateer/tracing"

// The attributes' names. Those of messaging and error are OpenTelemetry's.
const (
	keySystem        = attribute.Key("messaging.system")
	keyService       = attribute.Key("messaging.destination.name")
	keyOperation     = attribute.Key("messaging.operation.name")
	keyOperationType = attribute.Key("messaging.operation.type")
	keyID            = attribute.Key("messaging.message.id")
	keyErrorType     = attribute.Key("error.type")

	keyOutcome     = attribute.Key("privateer.outcome")
	keyAttempt     = attribute.Key("privateer.attempt")
	keyCertainty   = attribute.Key("privateer.certainty")
	keyTries       = attribute.Key("privateer.tries")
	keyRetryable   = attribute.Key("privateer.retryable")
	keyFailedOver  = attribute.Key("privateer.failed_over")
	keyBroker      = attribute.Key("privateer.broker")
	keyParts       = attribute.Key("privateer.parts")
	keyHandlerCode = attribute.Key("privateer.handler_code")
	keyMaybeRerun  = attribute.Key("privateer.maybe_rerun")
	keyWaited      = attribute.Key("privateer.waited_ms")
	keyCancelled   = attribute.Key("privateer.cancelled")
	keyRedelivery  = attribute.Key("privateer.redelivery")
)

// An Option changes what Client, Stream and Worker use.
type Option func(*config)

type config struct {
	provider   trace.TracerProvider
	propagator propagation.TextMapPropagator
}

// WithTracerProvider sets where spans come from. Default, also for nil:
// OpenTelemetry's global one.
func WithTracerProvider(p trace.TracerProvider) Option { return func(c *config) { c.provider = p } }

// WithPropagator sets how the trace gets into a request and out of it. Default,
// also for nil: OpenTelemetry's global one.
func WithPropagator(p propagation.TextMapPropagator) Option {
	return func(c *config) { c.propagator = p }
}

func newConfig(options []Option) *config {
	c := &config{}
	for _, o := range options {
		o(c)
	}
	return c
}

func (c *config) tracer() trace.Tracer {
	if c.provider != nil {
		return c.provider.Tracer(scope)
	}
	return otel.Tracer(scope)
}

func (c *config) carried() propagation.TextMapPropagator {
	if c.propagator != nil {
		return c.propagator
	}
	return otel.GetTextMapPropagator()
}

// common are the attributes that every span has.
func common(service, operation, operationType string) []attribute.KeyValue {
	return []attribute.KeyValue{keySystem.String("privateer"), keyService.String(service),
		keyOperation.String(operation), keyOperationType.String(operationType)}
}
