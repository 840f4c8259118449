package client

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/protocol"
)

const (
	clientMax   = 10_000
	pipelineMax = 1_000_000
)

// A Client sends requests over REQ sockets, one request under way on each: the
// Lazy Pirate. It has all that a Pipeline has but Stream, for a REQ socket gets one
// answer to each request; a Pipeline is the better one for many requests at a time.
// Safe for concurrent use.
type Client struct{ loop *loop }

// New returns a Client. It does not wait for a connection. The error names the
// field of cfg that is out of bounds, or the endpoint that is no good.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults(clientMaxDefault)
	if err := cfg.validate(clientMax); err != nil {
		return nil, err
	}
	l, err := newLoop(cfg, clientcore.Req)
	if err != nil {
		return nil, err
	}
	return &Client{l}, nil
}

// Do sends a request and blocks until its outcome is there: at most until its
// deadline + one heartbeat + 250 ms, or 250 ms after ctx ends. Any outcome but
// OK is an *Error. When ctx ends the request is withdrawn; should the reply
// come in that moment, it is returned.
func (c *Client) Do(ctx context.Context, r Request) (Reply, error) {
	return c.loop.start(ctx, r, &Call{}).Reply()
}

// A Pong is what a broker says of itself.
type Pong struct {
	Broker          string // its endpoint
	Epoch           uint64 // drawn at its start
	Version         int    // of the protocol it answered in
	RoundTrip       time.Duration
	MessageBytesMax uint64 // its limit for all frames of a body together; 0: not told
	FramesMax       int    // its limit for the number of frames; 0: not told
	Draining        bool   // it is shutting down
}

// Ping asks the brokers in turn until one answers, at most for the Config's
// Deadline. An error is an *Error, ErrUnreachable if none answered.
func (c *Client) Ping(ctx context.Context) (Pong, error) { return c.loop.ping(ctx) }

// Go sends a request and returns without waiting for its outcome. It blocks
// only while MaxInFlight requests are open, until ctx ends or the request's
// deadline passes; the Call then says so. When ctx ends the request is withdrawn.
func (c *Client) Go(ctx context.Context, r Request) *Call { return c.loop.start(ctx, r, &Call{}) }

// Results sends the requests and yields each outcome as it comes, as
// Pipeline.Results does.
func (c *Client) Results(ctx context.Context, requests iter.Seq[Request]) iter.Seq2[Result, error] {
	return c.loop.results(ctx, requests)
}

// ping is Client.Ping.
func (l *loop) ping(ctx context.Context) (Pong, error) {
	id, err := l.ids.next()
	if err != nil {
		return Pong{}, err
	}
	p := &Call{done: make(chan struct{}), ctx: ctx, spec: clientcore.Call{
		Key: l.keys.Add(1), ID: id, PingOnly: true, Timeout: l.cfg.Timeout,
		Deadline: l.now() + l.cfg.Deadline, Jitter: rand.Uint64(),
	}}
	l.bound(p)
	reply, err := l.submit(&Request{}, p).Reply()
	if err != nil {
		return Pong{}, err
	}
	return Pong{
		Broker: reply.Broker, Epoch: p.pong.Epoch, Version: protocol.Version, RoundTrip: p.pong.RoundTrip,
		MessageBytesMax: p.pong.Limits.MessageBytesMax, FramesMax: int(p.pong.Limits.FramesMax),
		Draining: p.pong.Draining,
	}, nil
}

// Stats returns the counters. After Close, the last ones.
func (c *Client) Stats() Stats { return c.loop.tell() }

// Close ends the client. Requests under way end at once, with ErrClosed and
// what is known of whether they ran; the broker is told to cancel them, for
// which Close waits up to 250 ms. It may be called again and never fails.
func (c *Client) Close() error {
	c.loop.close()
	return nil
}
