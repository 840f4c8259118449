package tracing

import (
	"slices"
	"strings"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

const (
	traceparent = "traceparent" // the one key that has a place of its own in a request

	traceBytesMax   = 255     // a longer one would make the request invalid
	headersBytesMax = 4 << 10 // of all headers: what would take them over is left out
)

// An outgoing puts what a propagator carries into a request.
type outgoing struct{ r *client.Request }

func (o outgoing) Get(key string) string {
	if key == traceparent {
		return o.r.Trace
	}
	for _, h := range o.r.Headers {
		if strings.EqualFold(h.Key, key) {
			return h.Value
		}
	}
	return ""
}

// Set never writes to the caller's headers, and never spoils the request.
func (o outgoing) Set(key, value string) {
	if key == traceparent {
		if len(value) <= traceBytesMax {
			o.r.Trace = value
		}
		return
	}
	kept := slices.DeleteFunc(slices.Clone(o.r.Headers), func(h client.Header) bool { return strings.EqualFold(h.Key, key) })
	size := len(key) + len(value)
	for _, h := range kept {
		size += len(h.Key) + len(h.Value)
	}
	if size <= headersBytesMax {
		o.r.Headers = append(kept, client.Header{Key: key, Value: value})
	}
}

func (o outgoing) Keys() []string {
	keys := []string{traceparent}
	for _, h := range o.r.Headers {
		keys = append(keys, h.Key)
	}
	return keys
}

// An incoming is where a propagator finds what a request carries.
type incoming struct{ r *worker.Request }

func (i incoming) Get(key string) string {
	if key == traceparent {
		return i.r.Trace
	}
	for _, h := range i.r.Headers {
		if strings.EqualFold(h.Key, key) {
			return h.Value
		}
	}
	return ""
}

func (i incoming) Set(string, string) {}

func (i incoming) Keys() []string {
	keys := []string{traceparent}
	for _, h := range i.r.Headers {
		keys = append(keys, h.Key)
	}
	return keys
}
