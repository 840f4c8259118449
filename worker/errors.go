package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/workercore"
)

// Why a handler's context has ended: context.Cause(ctx) is one of these.
var (
	// ErrWithdrawn: the client no longer wants the outcome.
	ErrWithdrawn = errors.New("the client has withdrawn the request")
	// ErrExpired: the request's deadline has passed. It is also a
	// context.DeadlineExceeded.
	ErrExpired = fmt.Errorf("the request's deadline has passed: %w", context.DeadlineExceeded)
	// ErrLeaseOver: the attempt ran too long without progress; another worker
	// may be given the request.
	ErrLeaseOver = errors.New("the attempt's lease is over")
	// ErrSuperseded: another attempt has finished.
	ErrSuperseded = errors.New("another attempt has finished")
	// ErrUnwanted: the client has not asked again in the time it had named. It may
	// still, and the request is run again then.
	ErrUnwanted = errors.New("the client has not asked again for the request")
	// ErrTaskTimeout: it ran longer than Config.TaskTimeout.
	ErrTaskTimeout = errors.New("the task time-out is over")
	// ErrRestarted: another client asks for the reply, and parts of it that are
	// no longer kept: it must be made again.
	ErrRestarted = errors.New("the reply must start again: its first parts are no longer kept")
	// ErrNoCredit: the client has taken no part, and not asked for one, for the
	// broker's retention time (30 s).
	ErrNoCredit = errors.New("the client takes no parts any longer")
	// ErrTooLarge: a part was made that the broker took, and that the one which has
	// come in its place does not.
	ErrTooLarge = errors.New("a part of the reply is over the limit of the broker that has come back")
	// ErrDraining: the worker is stopping, and its drain time-out is over.
	ErrDraining = errors.New("the worker is stopping")
)

var causes = map[workercore.Cause]error{
	workercore.CauseWithdrawn:   ErrWithdrawn,
	workercore.CauseExpired:     ErrExpired,
	workercore.CauseLease:       ErrLeaseOver,
	workercore.CauseSuperseded:  ErrSuperseded,
	workercore.CauseUnwanted:    ErrUnwanted,
	workercore.CauseTaskTimeout: ErrTaskTimeout,
	workercore.CauseDrain:       ErrDraining,
	workercore.CauseRestart:     ErrRestarted,
	workercore.CauseNoCredit:    ErrNoCredit,
	workercore.CauseTooLarge:    ErrTooLarge,
}

// An UnacknowledgedError is what Run returns when it ended before a broker had
// acknowledged every reply: those requests may be run again elsewhere.
type UnacknowledgedError struct {
	Replies int
}

func (e *UnacknowledgedError) Error() string {
	return fmt.Sprintf("worker stopped before %d replies were acknowledged by a broker", e.Replies)
}

var errNoRun = errors.New("worker: SendPart of a Request that no worker made")

type retryError struct{ err error }

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

// Retry makes of err, which must not be nil, the request to hand the work out
// again later: to this worker or another, after a pause, as often as the
// broker's limit of attempts allows.
func Retry(err error) error {
	if err == nil {
		err = errors.New("the handler asks for a retry")
	}
	return &retryError{err}
}

// IsRetry reports whether err asks for a retry, as one that Retry has made does:
// for handlers around others, which want to tell outcomes apart.
func IsRetry(err error) bool {
	var retry *retryError
	return errors.As(err, &retry)
}

type handBackError struct {
	err  error
	hold time.Duration
}

func (e *handBackError) Error() string { return e.err.Error() }
func (e *handBackError) Unwrap() error { return e.err }

// HandBack makes of err, which must not be nil, the request to hand the work to
// another worker, because nothing of it was done here, and none can be: a program
// cannot be started, a database cannot be reached. Unlike Retry it costs no
// attempt, and an at-most-once request is handed on as well. A broker waits a
// heartbeat before it hands the request out again; that may be to this worker.
//
// The client does not see err: log it. From a handler that has sent a part of its
// reply it is Retry.
func HandBack(err error) error {
	if err == nil {
		err = errors.New("the handler cannot do it")
	}
	return &handBackError{err: err}
}

// Hold is HandBack, and more: this worker can do no request for now, so it takes none,
// of any of its brokers, for d (at most a day). What it has not begun is handed to others as well; what
// runs goes on. After d it takes one request from each, and no more until a handler has
// returned without a Hold. Whoever wants the waits to double counts them:
// a d that grows with each Hold in a row, and begins anew after a success.
//
// A d of 0 or less is HandBack. While all workers of a service hold, requests wait
// in the broker, until their deadline.
func Hold(err error, d time.Duration) error {
	if err == nil {
		err = errors.New("the handler can do nothing for now")
	}
	return &handBackError{err, max(d, 0)}
}

// IsHandBack reports whether err hands a request back, as one that HandBack has
// made does.
func IsHandBack(err error) bool {
	var back *handBackError
	return errors.As(err, &back)
}

// A RejectError is the outcome FAILED with a code of the handler's own. The
// client sees both texts.
type RejectError struct {
	Code    string // at most 255 bytes travel
	Message string // at most 4 KiB travel
}

// Error is both texts.
func (e *RejectError) Error() string { return e.Code + ": " + e.Message }

// Reject makes an error that ends the request as FAILED, with code and msg for
// the client.
func Reject(code, msg string) error { return &RejectError{code, msg} }
