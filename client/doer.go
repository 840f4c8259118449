package client

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A Doer asks for one request and waits for its outcome, as Client.Do does.
// Client and Pipeline are Doers, and so is what WithRetries returns; a test may
// have one of its own. It must be safe for concurrent use.
type Doer interface {
	Do(ctx context.Context, r Request) (Reply, error)
}

var _, _ Doer = (*Client)(nil), (*Pipeline)(nil)

// A Streamer asks for a reply in parts, as Pipeline.Stream does; AskStream takes one.
// A Pipeline is one, and what goes around it, as tracing.Stream does.
type Streamer interface {
	Stream(ctx context.Context, r Request) iter.Seq2[Part, error]
}

var _ Streamer = (*Pipeline)(nil)

// wholeBudget is the deadline of a request that names none.
func (c *Client) wholeBudget() time.Duration   { return c.loop.cfg.Deadline }
func (p *Pipeline) wholeBudget() time.Duration { return p.loop.cfg.Deadline }

// NotStarted reports whether err is an outcome that proves that no handler was
// started, and none will be: then asking again, under a new id, cannot do the
// work twice. The package comment's table says which outcomes can be so; each of
// them is only where all that was sent of the request is accounted for. False for
// nil, and for an error without an *Error in it.
func NotStarted(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Certainty == protocol.NotStarted
}

// Retryable reports whether err is an outcome after which asking again, under a
// new id, may succeed. That says nothing of whether the work can be done twice
// then, for which there is NotStarted:
//
//	errors.Is       Retryable                     NotStarted
//	--------------  ----------------------------  ---------------
//	ErrFailed       if it had asked for a retry   never
//	ErrTimeout      yes                           never
//	ErrExpired      yes, with a longer deadline   it may be
//	ErrCancelled    no                            it may be
//	ErrWorkerLost   yes                           never
//	ErrGone         no                            never
//	ErrNoService    yes                           it may be
//	ErrOverloaded   yes, after RetryAfter         it may be
//	ErrDraining     yes                           it may be
//	ErrDenied       no                            it may be
//	ErrInvalid      no                            it may be
//	ErrUnknown      yes                           never
//	ErrUnreachable  yes                           it may be
//	ErrReply        no                            never
//	ErrRestarted    yes                           never
//
// "It may be" is yes unless an earlier try of the request was not answered so, or
// its id came from the caller. A broker's own word on Retryable goes before this
// table. False for nil, and for an error without an *Error in it.
func Retryable(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Retryable
}
