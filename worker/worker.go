// Package worker takes requests from one or more brokers and runs a Handler
// for each. Heartbeats, reconnects, time-outs and draining are its matter; the
// handler does the work and nothing else.
//
// A [Handler] takes bytes; [Handle] and [HandleStream] make one of a function over
// values. A [Mux] is a handler of several services. [Middleware] goes around a
// handler: [Recover], [Timeout], [Log], [Limit], [Rate].
package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// A Handler does the work of one request. It is called on its own goroutine,
// at most Config.Concurrency at a time. ctx ends when the request's deadline
// passes, its task time-out is over, its client has withdrawn it, or the drain
// time-out has come; a handler that does not return then keeps its slot.
//
// The returned frames become the reply; the handler must not change them
// afterwards. An error becomes the outcome FAILED, unless it was made by Retry,
// HandBack, Hold or Reject. A panic becomes FAILED as well.
//
// A handler may be called again for the same request after its worker was lost
// (Request.Attempt > 1, Request.MaybeRerun): it should cope with being run again.
// Package simtest finds out whether it does.
type Handler interface {
	Handle(ctx context.Context, r *Request) ([][]byte, error)
}

// HandlerFunc makes a Handler of a function with a reply of one frame.
type HandlerFunc func(ctx context.Context, r *Request) ([]byte, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, r *Request) ([][]byte, error) {
	b, err := f(ctx, r)
	if err != nil {
		return nil, err
	}
	return [][]byte{b}, nil
}

// FramesFunc makes a Handler of a function with a reply of any number of frames.
type FramesFunc func(ctx context.Context, r *Request) ([][]byte, error)

// Handle calls f.
func (f FramesFunc) Handle(ctx context.Context, r *Request) ([][]byte, error) { return f(ctx, r) }

// A Worker takes requests and runs a Handler for them. Make one with New. Its
// methods are safe for concurrent use; Run may be called once.
type Worker struct {
	cfg      Config
	handler  Handler
	unnamed  bool // nobody has named a service
	ran      atomic.Bool
	counters counters
}

// New makes a worker. The error names the field of cfg that is out of bounds.
// cfg's slices are copied.
func New(cfg Config, h Handler) (*Worker, error) {
	if err := prepare(&cfg, h); err != nil {
		return nil, err
	}
	unnamed := len(cfg.Services) == 0
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Worker{cfg: cfg, handler: h, unnamed: unnamed}, nil
}

var errRanBefore = errors.New("worker: Run was called before; make a new Worker")

// Run serves until ctx is done, then drains: nothing new is taken, what has
// not been started is handed back, running handlers may finish within
// Config.DrainTimeout, and the brokers are told. It returns nil after a clean
// drain and *UnacknowledgedError if replies may not have reached their broker,
// at once with another error if an endpoint cannot be used. A broker that is
// away is no error: Run connects again and again.
//
// Handlers that ignore the end of their context are left behind after a second.
func (w *Worker) Run(ctx context.Context) error {
	if w.ran.Swap(true) {
		return errRanBefore
	}
	if w.unnamed {
		level := zerolog.WarnLevel // it may be for other services, such as a Mux within something that does not say so
		if plain(w.handler) {
			level = zerolog.InfoLevel
		}
		w.cfg.Logger.WithLevel(level).Str("state", "no-services").Strs("services", w.cfg.Services).
			Msg("neither Config.Services nor the handler names a service (see worker.Offering): this is what is served")
	}
	l := newLoop(w)
	if err := l.openHost(); err != nil {
		return err
	}
	err := l.run(ctx)
	return errors.Join(err, l.host.Close())
}

// Config says which brokers a worker joins and what it offers. The zero value
// joins a broker on this host and offers the service "default".
type Config struct {
	// Brokers are the back endpoints to register with, each of them at once.
	// Default: tcp://127.0.0.1:5556.
	Brokers []string
	// Transport is what tcp:// and ipc:// endpoints are reached by: "zmtp", in Go,
	// or "libzmq", where package transport/libzmq is imported. Default: zmtp.
	Transport string
	// Services are the names of the services offered, 1 to 256.
	// Default: those of the handler, if it is an Offering, such as a *Mux; "default"
	// otherwise, which is logged.
	Services []string
	// Label is what people call this worker, where they see it: at the broker's
	// admin port and in its log, beside the machine's name and the number of the
	// process. Version is that of its program. At most 255 bytes of UTF-8 each,
	// without control characters. Default: not said.
	Label, Version string
	// Concurrency is how many handlers run at a time, and how many requests
	// each broker may hand over. Range 1 to 4096; default 1.
	Concurrency int
	// TaskTimeout bounds one run of the handler; then its context ends and the
	// outcome is TIMEOUT. 0, the default, is no bound but the deadline.
	TaskTimeout time.Duration
	// ReconnectMax is the longest wait before connecting again. Until a broker
	// says otherwise. Default 2s.
	ReconnectMax time.Duration
	// DrainTimeout is how long Run lets running handlers finish once its
	// context is done; what still runs then is handed back. Default 10s.
	DrainTimeout time.Duration
	// RetainBytes bounds the bodies of acknowledged replies, kept for a broker
	// that comes back and asks again. Default 16 MiB.
	RetainBytes int64
	// Hooks are told what becomes of the links. Default: none.
	Hooks Hooks
	// Logger takes the worker's log. Its zero value is silent. Lines are written in
	// the worker's turns, which send its heartbeats: a writer that may block, such as a pipe, belongs
	// behind one that does not, such as zerolog's diode.Writer.
	Logger zerolog.Logger
}
