package client

import (
	"context"
	"iter"

	"github.com/privateer-mq/privateer/internal/clientcore"
)

// A Pipeline keeps many requests under way over one DEALER socket per broker,
// without waiting for each reply before the next is sent. It has all that a Client
// has, and Stream. Safe for concurrent use.
type Pipeline struct{ loop *loop }

// NewPipeline returns a Pipeline. It does not wait for a connection. The error
// names the field of cfg that is out of bounds, or the endpoint that is no good.
func NewPipeline(cfg Config) (*Pipeline, error) {
	cfg = cfg.withDefaults(pipelineMaxDefault)
	if err := cfg.validate(pipelineMax); err != nil {
		return nil, err
	}
	l, err := newLoop(cfg, clientcore.Dealer)
	if err != nil {
		return nil, err
	}
	return &Pipeline{l}, nil
}

// Go sends a request and returns without waiting for its outcome. It blocks
// only while MaxInFlight requests are open, until ctx ends or the request's
// deadline passes; the Call then says so. When ctx ends the request is
// withdrawn.
func (p *Pipeline) Go(ctx context.Context, r Request) *Call {
	return p.loop.start(ctx, r, &Call{})
}

// Do sends a request and blocks until its outcome is there, as Client.Do does.
func (p *Pipeline) Do(ctx context.Context, r Request) (Reply, error) {
	return p.Go(ctx, r).Reply()
}

// Ping asks the brokers in turn until one answers, as Client.Ping does.
func (p *Pipeline) Ping(ctx context.Context) (Pong, error) { return p.loop.ping(ctx) }

// A Result is the outcome of one request of Results.
type Result struct {
	Index   int // of the request, in the order in which they were taken, from 0
	Request Request
	Reply   Reply // zero if there is an error
}

// Results sends the requests and yields each outcome as it comes, in the order
// of completion. At most MaxInFlight are under way at a time: the next request
// is taken only when there is room. Every request taken is yielded once, unless
// the caller breaks off: then what is under way is withdrawn. ctx ends them all.
//
// A sequence of requests that blocks keeps results back for as long.
//
// The returned sequence may be ranged over as often as requests may. It must
// not be used by several goroutines at once.
func (p *Pipeline) Results(ctx context.Context, requests iter.Seq[Request]) iter.Seq2[Result, error] {
	return p.loop.results(ctx, requests)
}

// results is Pipeline.Results.
func (l *loop) results(ctx context.Context, requests iter.Seq[Request]) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		next, stop := iter.Pull(requests)
		defer stop()
		window := l.cfg.MaxInFlight
		ended := make(chan *Call, window)
		under := make(map[int]Request, window)
		for index, more := 0, true; more || len(under) > 0; {
			if more && len(under) < window {
				var r Request
				if r, more = next(); more {
					under[index] = r
					l.start(ctx, r, &Call{notify: ended, index: index})
					index++
				}
				if len(ended) == 0 {
					continue
				}
			}
			c := <-ended
			r := Result{Index: c.index, Request: under[c.index], Reply: c.reply}
			delete(under, c.index)
			if !yield(r, c.err) {
				return
			}
		}
	}
}

// Stats returns the counters. After Close, the last ones.
func (p *Pipeline) Stats() Stats { return p.loop.tell() }

// Close ends the pipeline. Requests under way end at once, with ErrClosed and
// what is known of whether they ran; the broker is told to cancel them, for
// which Close waits up to 250 ms. It may be called again and never fails.
func (p *Pipeline) Close() error {
	p.loop.close()
	return nil
}
