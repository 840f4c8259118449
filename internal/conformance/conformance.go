// Package conformance checks an implementation of PRV1 against
// docs/protocol.md, whatever language it is written in: it plays the other
// side by a script, over real sockets, and notes for each rule whether it held.
//
// A check begins on a link that stands, or with a request of its own, so that
// a peer that breaks one rule fails one check.
package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/protocol"
	vectors "github.com/privateer-mq/privateer/protocol/testdata"
)

// Vectors returns protocol/testdata/vectors.json: messages as bytes, good and
// bad. The caller must not change it.
func Vectors() []byte { return vectors.JSON }

// A Process is the peer under test, where the kit started it.
type Process interface {
	Done() <-chan struct{} // closed when it has ended
	Signal(syscall.Signal)
}

// Config says what is checked.
type Config struct {
	Frontend string // of the broker; for Client the endpoint to bind
	Backend  string // of the broker; for Worker the endpoint to bind
	// Transport is what the kit itself uses: see broker.Config.
	Transport string
	// Service is the service asked for: of a worker one that it offers, of a
	// client the one it asks; empty takes what they say. For a broker it is
	// what the names of the services made up begin with.
	Service string
	// Timeout bounds the whole run. Default one minute.
	Timeout time.Duration
	// Listening is told the endpoint that was bound, before Start. May be nil.
	Listening func(endpoint string)
	// Start starts the peer. Nil: one is waited for.
	Start func(endpoint string) (Process, error)
}

const (
	timeoutDefault = time.Minute
	arrival        = 30 * time.Second // a peer's time to come
	soon           = 2 * time.Second  // what must come at once, on a busy machine
	quiet          = 300 * time.Millisecond
	frameBytesMax  = 2 << 20
	linger         = 200 * time.Millisecond
)

// Worker checks a worker that echoes: it plays the broker at cfg.Backend.
func Worker(ctx context.Context, cfg Config) (*Report, error) {
	return play(ctx, cfg, "worker", cfg.Backend, playWorker)
}

// Client checks a client that makes one request after another: it plays the
// broker at cfg.Frontend.
func Client(ctx context.Context, cfg Config) (*Report, error) {
	return play(ctx, cfg, "client", cfg.Frontend, playClient)
}

// Broker checks a running broker: it plays its clients and its workers.
func Broker(ctx context.Context, cfg Config) (*Report, error) {
	return play(ctx, cfg, "broker", cfg.Frontend, playBroker)
}

// play makes a run and ends it. An error means that nothing could be checked.
func play(ctx context.Context, cfg Config, role, endpoint string, script func(*run) error) (*Report, error) {
	endpoints := []string{endpoint}
	if role == "broker" {
		endpoints = append(endpoints, cfg.Backend)
	}
	host, _, err := transport.For(cfg.Transport, nil, endpoints...)
	if err != nil {
		return nil, err
	}
	r := &run{ctx: ctx, cfg: cfg, host: host, began: time.Now(), report: &Report{Role: role}}
	r.end = r.began.Add(cmp.Or(cfg.Timeout, timeoutDefault))
	stop := context.AfterFunc(ctx, host.Wake)
	defer stop()
	err = script(r)
	if err == nil {
		err = r.fatal
	}
	if err == nil && ctx.Err() != nil {
		err = errors.New("stopped")
	}
	r.report.Took = time.Since(r.began)
	return r.report, errors.Join(err, host.Close())
}

// bind opens the ROUTER of a broker that is played, and starts the peer.
func (r *run) bind(endpoint string, handover bool, take func(link.Message)) (*socket, Process, error) {
	s, err := r.open(link.Options{Role: link.Router, Endpoints: []string{endpoint}, Handover: handover,
		FrameBytesMax: frameBytesMax, Linger: linger}, take)
	if err != nil {
		return nil, nil, err
	}
	if r.cfg.Listening != nil {
		r.cfg.Listening(s.Addr())
	}
	if r.cfg.Start == nil {
		return s, nil, nil
	}
	p, err := r.cfg.Start(s.Addr())
	if err != nil {
		return nil, nil, fmt.Errorf("cannot start the %s: %w", r.report.Role, err)
	}
	return s, p, nil
}

// serviceOr is the service of the command line, or else another.
func (r *run) serviceOr(other string) string { return cmp.Or(r.cfg.Service, other) }

// limits that the kit announces as a broker.
var limits = protocol.Limits{MessageBytesMax: 1 << 20, FramesMax: protocol.FramesMax}
