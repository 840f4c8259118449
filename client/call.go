package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A Call is one request under way. Safe for concurrent use.
type Call struct {
	done  chan struct{}
	reply Reply
	pong  *clientcore.Pong
	err   error
	ended uint32 // parts before the end

	// Set before the call is given to the loop, then the loop's.
	ctx    context.Context
	spec   clientcore.Call
	stop   func() bool  // no longer watch ctx; nil: it cannot end
	parts  *parts       // of a reply in parts; nil otherwise
	notify chan<- *Call // told when done; nil: nobody. Has room.
	index  int          // in Results
	body   [1][]byte    // what spec has, if it is one frame
	// bounded: the deadline is that of ctx. Whichever of the two is noticed
	// first, the error says that it was the context's.
	bounded bool

	// The loop's alone.
	started bool
	early   bool   // ctx ended before the loop had seen the call
	why     string // another try follows, for Hooks.Retry
}

// Done is closed when the outcome is there.
func (c *Call) Done() <-chan struct{} { return c.done }

// Reply blocks until the outcome is there, and returns it. The error, if any,
// is an *Error. The caller owns the reply's frames.
func (c *Call) Reply() (Reply, error) {
	<-c.done
	return c.reply, c.err
}

// finish sets the outcome. It is called once.
func (c *Call) finish(reply Reply, err error) {
	c.reply, c.err = reply, err
	close(c.done)
	if c.notify != nil {
		c.notify <- c
	}
}

func (c *Call) unwatch() {
	if c.stop != nil {
		c.stop()
	}
}

// start gives a request to the loop and returns its call, whose outcome is
// always certain to come. It blocks while MaxInFlight requests are open, until
// ctx ends or the request's deadline passes.
func (l *loop) start(ctx context.Context, r Request, c *Call) *Call {
	c.done, c.ctx = make(chan struct{}), ctx
	var err *Error
	if c.spec, err = l.spec(&r, c); err != nil {
		c.finish(Reply{}, err)
		return c
	}
	if c.parts != nil {
		c.spec.Window = partsWindow
	}
	l.bound(c)
	return l.submit(&r, c)
}

// submit waits for a place, and posts c.
func (l *loop) submit(r *Request, c *Call) *Call {
	if err := l.enter(c.ctx, r, c.spec.Deadline, c.bounded); err != nil {
		c.finish(Reply{}, err)
		return c
	}
	if c.ctx.Done() != nil {
		c.stop = context.AfterFunc(c.ctx, func() { l.post(command{kind: withdrawCall, call: c}) })
	}
	if !l.post(command{kind: startCall, call: c}) {
		c.unwatch()
		l.leave()
		c.finish(Reply{}, localError(r, protocol.Cancelled, "", false, ErrClosed))
	}
	return c
}

const noPlace = "nothing was sent: MaxInFlight requests are open"

// contextError is the error of a request whose context has ended before it was sent.
func contextError(r *Request, text string, err error) *Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return localError(r, protocol.Expired, text, true, err)
	}
	return localError(r, protocol.Cancelled, text, false, err)
}

// enter takes one of MaxInFlight places. The deadline may be that of ctx: bounded.
func (l *loop) enter(ctx context.Context, r *Request, deadline time.Duration, bounded bool) *Error {
	if err := ctx.Err(); err != nil {
		return contextError(r, "nothing was sent", err)
	}
	select {
	case l.places <- struct{}{}:
		return nil
	default:
	}
	budget := time.NewTimer(deadline - l.now())
	defer budget.Stop()
	select {
	case l.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return contextError(r, noPlace, ctx.Err())
	case <-budget.C:
		if bounded { // by ctx, which notices it in this moment as well
			return contextError(r, noPlace, context.DeadlineExceeded)
		}
		return localError(r, protocol.Overloaded, fmt.Sprintf("no place among the %d requests that may be open (MaxInFlight) by the deadline",
			l.cfg.MaxInFlight), true, nil)
	case <-l.done:
		return localError(r, protocol.Cancelled, "", false, ErrClosed)
	}
}

func (l *loop) leave() { <-l.places }

// spec turns a request into what the state machine takes, or says what is
// wrong with it.
func (l *loop) spec(r *Request, c *Call) (clientcore.Call, *Error) {
	s := clientcore.Call{
		Key: l.keys.Add(1), ID: r.ID, FromCaller: !r.ID.IsZero(),
		Service: r.Service, Body: r.Frames,
		AtMostOnce: r.AtMostOnce, NoWait: r.NoWait, Finish: r.FinishRunning, Priority: protocol.Code(r.Priority),
		Timeout: cmp.Or(r.Timeout, l.cfg.Timeout), Retries: max(cmp.Or(r.Retries, l.cfg.Retries), 0),
		Jitter: rand.Uint64(),
	}
	if s.Body == nil && r.Body != nil {
		c.body[0] = r.Body
		s.Body = c.body[:]
	}
	invalid := func(format string, args ...any) (clientcore.Call, *Error) {
		return s, localError(r, protocol.Invalid, fmt.Sprintf(format, args...), false, nil)
	}
	budget := cmp.Or(r.Deadline, l.cfg.Deadline)
	switch {
	case s.Timeout < time.Millisecond || s.Timeout > durationMax:
		return invalid("Timeout is %v; it must be at least 1ms and at most %v", s.Timeout, durationMax)
	case s.Retries > retriesMax:
		return invalid("Retries is %d; at most %d are allowed", s.Retries, retriesMax)
	case budget < 0 || budget > durationMax:
		return invalid("Deadline is %v; it must be at least 1ms and at most %v", budget, durationMax)
	case r.Frames != nil && r.Body != nil:
		return invalid("both Body and Frames are set")
	}
	size := 0
	for _, h := range r.Headers {
		if h.Key == "" || len(h.Key) > protocol.HeaderKeyBytesMax {
			return invalid("a header key has %d bytes; it must have 1 to %d", len(h.Key), protocol.HeaderKeyBytesMax)
		}
		if size += len(h.Key) + len(h.Value) + 4; size > protocol.MetaBytesMax {
			return invalid("headers take over %d bytes together", protocol.MetaBytesMax)
		}
		s.Meta = s.Meta.AppendHeader(h.Key, h.Value)
	}
	if why := addTrace(&s.Meta, r.Trace); why != "" {
		return invalid("%s", why)
	}
	if !s.FromCaller {
		id, err := l.ids.next()
		if err != nil {
			return s, localError(r, protocol.Invalid, "no randomness for an id", true, err)
		}
		s.ID = id
	}
	s.Deadline = l.now() + budget
	return s, nil
}

// bound lets an earlier deadline of c's context win.
func (l *loop) bound(c *Call) {
	if d, ok := c.ctx.Deadline(); ok {
		left := min(time.Until(d), durationMax) // that of a far one and now are more than fits
		if at := l.now() + left; at < c.spec.Deadline {
			c.spec.Deadline, c.bounded = at, true
		}
	}
}

// outcome gives c its end. Only the loop calls it.
func (l *loop) outcome(c *Call, o *clientcore.Outcome) {
	c.unwatch()
	l.ended++
	broker := ""
	if o.Broker >= 0 {
		broker = l.cfg.Brokers[o.Broker]
	}
	cause := l.cause(c, o)
	if errors.Is(cause, context.DeadlineExceeded) && o.Code == protocol.Cancelled { // whoever noticed it first
		expired := *o
		expired.Code, expired.Retryable, expired.Text = protocol.Expired, true, "the deadline of its context passed"
		o = &expired
	}
	if o.Code == protocol.Unreachable {
		unreachable := *o
		why := l.troubles()
		if strings.Contains(why, link.FilesAdvice) { // the brokers may be well
			unreachable.Text = "this process has too many open files: " + link.FilesAdvice + "; nothing was sent"
		}
		unreachable.Text += why
		o = &unreachable
	}
	l.stats.ended(o)
	l.hookOutcome(c, o, broker)
	l.leave()
	if o.Code != protocol.OK {
		l.logOutcome(c, o, broker)
		c.finish(Reply{}, outcomeError(o, broker, cause))
		return
	}
	c.pong, c.ended = o.Pong, o.Parts
	reply := Reply{ID: o.ID, Frames: o.Body, Attempt: int(o.Attempt), Tries: int(o.Tries), Broker: broker, FailedOver: o.FailedOver}
	for k, v := range o.Meta.Headers() {
		reply.Headers = append(reply.Headers, Header{k, v})
	}
	c.finish(reply, nil)
}

// cause is what of c's caller has ended it; nil if nothing has.
func (l *loop) cause(c *Call, o *clientcore.Outcome) error {
	switch {
	case o.Code == protocol.OK:
		return nil
	case o.Closed:
		return ErrClosed
	case o.Withdrawn:
		return c.ctx.Err()
	case c.bounded && (o.Code == protocol.Expired || l.now() >= c.spec.Deadline): // a broker may notice it first
		return context.DeadlineExceeded
	}
	return nil
}
