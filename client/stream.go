package client

import (
	"context"
	"iter"
	"sync"

	"github.com/privateer-mq/privateer/internal/clientcore"
)

// partsWindow is how many parts of one reply may be on their way, or wait here.
const partsWindow = 16

// A Part is one part of a reply, or its end.
type Part struct {
	// Number counts the parts from 1; the end has the next number.
	Number int
	// Restarted: the reply begins again, made by another run of the handler,
	// after its worker was lost. What came before is of no use. Number is 1.
	Restarted bool
	// Last: this is the end, what the handler has returned. Then Reply is whole;
	// before, only ID, Frames, Headers and Attempt are set.
	Last bool
	Reply
}

// Stream sends a request and yields its reply in parts, as the handler makes
// them (worker.Request.SendPart), and at last its end. Of a handler that makes
// none only the end comes. An error ends the sequence: it is yielded with a zero
// Part, and is an *Error, as of Do.
//
// The sequence blocks while no part is there. The handler is held back by a
// caller who does not take its parts: no more than 16 are on their way. No part
// is missing, comes twice or in another order; but after a Restarted one they
// count anew. Who breaks off, or whose ctx ends, withdraws the request.
//
// The request is sent when the sequence is ranged over, each time anew; it must
// not be used by several goroutines at once. The caller owns the frames.
func (p *Pipeline) Stream(ctx context.Context, r Request) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		c := p.loop.start(ctx, r, &Call{parts: &parts{ready: make(chan struct{}, 1)}})
		n := 0
		for {
			part, ok := c.parts.take(c.done)
			if !ok {
				break
			}
			n = int(part.Number)
			if !yield(newPart(c, part), nil) {
				return
			}
			p.loop.post(command{kind: partUsed, call: c})
		}
		reply, err := c.Reply()
		if err != nil {
			yield(Part{}, err)
			return
		}
		restarted := c.ended == 0 && n > 0 // no parts were made in the run that ended it
		if restarted {
			n = 0
		}
		yield(Part{Number: n + 1, Restarted: restarted, Last: true, Reply: reply}, nil)
	}
}

func newPart(c *Call, p *clientcore.PartOf) Part {
	part := Part{Number: int(p.Number), Restarted: p.Restarted, Reply: Reply{ID: c.spec.ID, Frames: p.Body, Attempt: int(p.Attempt)}}
	for k, v := range p.Meta.Headers() {
		part.Headers = append(part.Headers, Header{k, v})
	}
	return part
}

// parts brings the parts of one reply from the loop to whoever ranges over them.
// It is bounded by what the machine grants.
type parts struct {
	mu    sync.Mutex
	list  []*clientcore.PartOf
	ready chan struct{} // has room for one
}

// put adds p. A reply that begins again makes what was not taken worthless.
func (q *parts) put(p *clientcore.PartOf) {
	q.mu.Lock()
	if p.Restarted {
		clear(q.list)
		q.list = q.list[:0]
	}
	q.list = append(q.list, p)
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take blocks until there is a part, or done is closed and there is none left.
func (q *parts) take(done <-chan struct{}) (p *clientcore.PartOf, ok bool) {
	for over := false; ; {
		q.mu.Lock()
		if len(q.list) > 0 {
			p = q.list[0]
			q.list[0] = nil
			q.list = q.list[1:]
			q.mu.Unlock()
			return p, true
		}
		q.mu.Unlock()
		if over {
			return nil, false
		}
		select {
		case <-q.ready:
		case <-done:
			over = true
		}
	}
}
