package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/protocol"
)

// The outcomes other than OK, for errors.Is. The package comment says of each
// whether the work may have run.
var (
	ErrFailed      = errors.New("the handler failed")
	ErrTimeout     = errors.New("the handler ran too long")
	ErrExpired     = errors.New("the deadline passed")
	ErrCancelled   = errors.New("withdrawn")
	ErrWorkerLost  = errors.New("the worker was lost")
	ErrGone        = errors.New("the reply is no longer kept")
	ErrNoService   = errors.New("nobody serves that service")
	ErrOverloaded  = errors.New("overloaded")
	ErrDraining    = errors.New("the broker is shutting down")
	ErrDenied      = errors.New("not allowed")
	ErrInvalid     = errors.New("invalid request")
	ErrUnknown     = errors.New("no answer: nobody can tell what became of it")
	ErrUnreachable = errors.New("no broker could be reached")

	// ErrClosed: the Client or Pipeline was closed before the outcome came.
	ErrClosed = errors.New("client closed")
)

var sentinels = map[protocol.Code]error{
	protocol.Failed: ErrFailed, protocol.Timeout: ErrTimeout, protocol.Expired: ErrExpired,
	protocol.Cancelled: ErrCancelled, protocol.WorkerLost: ErrWorkerLost, protocol.Gone: ErrGone,
	protocol.NoService: ErrNoService, protocol.Overloaded: ErrOverloaded, protocol.DrainingNow: ErrDraining,
	protocol.Denied: ErrDenied, protocol.Invalid: ErrInvalid, protocol.Unknown: ErrUnknown,
	protocol.Unreachable: ErrUnreachable,
}

// An Error is an outcome other than OK. errors.Is finds the sentinel of its
// Code, ErrClosed if Close ended it, and the context's error if that did: after the
// deadline of a context always both ErrExpired and context.DeadlineExceeded.
type Error struct {
	Code        protocol.Code
	Message     string             // why, in words; may be empty
	HandlerCode string             // of FAILED: the handler's own code, if it gave one
	Certainty   protocol.Certainty // whether it may have run
	Retryable   bool               // asking again, under a new id, may succeed
	RetryAfter  time.Duration      // of OVERLOADED: not before; 0 if not told
	Attempt     int                // the attempt that answered, from 1; 0 if none
	Tries       int                // sendings that left this process
	ID          protocol.ID
	Broker      string // endpoint that answered, or was asked last; "" if none
	FailedOver  bool   // another broker than that may have run it too

	cause error // a context's error or ErrClosed; nil otherwise
}

// Error says what happened, whether it may have run, and why.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v (%v)", e.Code, e.Certainty)
	if e.HandlerCode != "" {
		b.WriteString(": " + e.HandlerCode)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	return b.String()
}

// Unwrap returns the sentinel of e's Code, and what ended the request early.
func (e *Error) Unwrap() []error {
	list := make([]error, 0, 3)
	if s := sentinels[e.Code]; s != nil {
		list = append(list, s)
	}
	if e.cause != nil {
		list = append(list, e.cause)
	}
	if errors.Is(e.cause, context.DeadlineExceeded) && e.Code != protocol.Expired { // nobody could be reached until then, say
		list = append(list, ErrExpired)
	}
	return list
}

// outcomeError is the error of an outcome that is not OK.
func outcomeError(o *clientcore.Outcome, broker string, cause error) *Error {
	text := o.Text
	if text == "" {
		text = o.Meta.Get(protocol.MetaErrorText)
	}
	return &Error{
		Code: o.Code, Message: text, HandlerCode: o.Meta.Get(protocol.MetaErrorCode),
		Certainty: o.Certainty, Retryable: o.Retryable, RetryAfter: o.RetryAfter,
		Attempt: int(o.Attempt), Tries: int(o.Tries), ID: o.ID, Broker: broker,
		FailedOver: o.FailedOver, cause: cause,
	}
}

// localError is the error of a request that never got as far as the loop.
func localError(r *Request, code protocol.Code, text string, retryable bool, cause error) *Error {
	certainty := protocol.NotStarted
	if !r.ID.IsZero() { // somebody may have sent it before
		certainty = protocol.MaybeStarted
	}
	return &Error{Code: code, Message: text, Certainty: certainty, Retryable: retryable, ID: r.ID, cause: cause}
}
