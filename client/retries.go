package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// ErrRetryBudget: a request was not asked again, because too many others were: the
// budget of WithRetries is used up. It is found beside the outcome's own error.
var ErrRetryBudget = errors.New("not asked again: the budget for retries is used up")

// A RetryPolicy says when WithRetries asks again. The zero value is usable.
type RetryPolicy struct {
	// Retries is how often one request may be asked again. At most 100; default
	// 3; negative: never.
	Retries int
	// Backoff is the wait before that, for the first time; each further one is
	// twice as long. Between half and all of it is waited, by chance. At least
	// 1ms; default 100ms.
	Backoff time.Duration
	// BackoffMax bounds it. At least Backoff; default 5s, or Backoff if that is more.
	BackoffMax time.Duration
	// Rerun says that the work may be done twice: then a request is asked again
	// that may have run, or did. Never one that is at most once.
	Rerun bool
	// Burst is how many retries may be made, over all requests, beyond one in ten.
	// 1 to a million; default 10.
	Burst int
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	p.Retries = max(cmp.Or(p.Retries, 3), 0)
	p.Backoff = cmp.Or(p.Backoff, 100*time.Millisecond)
	p.BackoffMax = cmp.Or(p.BackoffMax, max(5*time.Second, p.Backoff))
	p.Burst = cmp.Or(p.Burst, 10)
	return p
}

// mistake says which field is out of its bounds; "" if none is.
func (p RetryPolicy) mistake() string {
	const most, burst = 100, 1_000_000
	switch {
	case p.Retries > most:
		return fmt.Sprintf("RetryPolicy.Retries is %d; at most %d are allowed", p.Retries, most)
	case p.Backoff < time.Millisecond || p.Backoff > durationMax:
		return fmt.Sprintf("RetryPolicy.Backoff is %v; it must be at least 1ms and at most %v", p.Backoff, durationMax)
	case p.BackoffMax < p.Backoff || p.BackoffMax > durationMax:
		return fmt.Sprintf("RetryPolicy.BackoffMax is %v; it must be at least Backoff, %v, and at most %v", p.BackoffMax, p.Backoff, durationMax)
	case p.Burst < 1 || p.Burst > burst:
		return fmt.Sprintf("RetryPolicy.Burst is %d; it must be at least 1 and at most %d", p.Burst, burst)
	}
	return ""
}

// WithRetries returns a Doer that asks d again, under a new id each time, while
// the outcome is Retryable and it is certain that no handler was started
// (NotStarted); with RetryPolicy.Rerun also when one may have been, or was. An
// outcome's RetryAfter is waited in any case, and a back-off with it. All that
// stays within ctx and the request's one Deadline.
//
// It is for outcomes, such as OVERLOADED. A silent or lost broker is asked again
// by d itself, under the same id, which never runs the work twice: Config.Retries.
//
// An AtMostOnce request is asked again only if it was not started. One with an ID of
// the caller's is asked again under that ID, which never runs the work twice, after
// what leaves no trace of it at a broker, whatever its certainty: ErrOverloaded,
// ErrDraining, ErrNoService and ErrUnreachable. Any other outcome would be
// repeated.
//
// When it gives up it returns the last outcome, whose text says why it was not
// asked again, and which is the context's error as well where that has ended. Its
// Certainty and Tries are those of all that was asked, so that it is not-started
// only if all of that was. A Reply counts all Tries, too.
//
// Retries come out of a budget, which all requests of the returned Doer share, so
// that a client in trouble adds little to it: each request puts in a tenth of a
// retry, up to Burst of them. When there is not a whole one left, the outcome is
// ErrRetryBudget too.
//
// The returned Doer is safe for concurrent use, and blocks as d does. A policy out
// of its bounds and a nil d make each Do end with ErrInvalid, which names them.
func WithRetries(d Doer, p RetryPolicy) Doer { return newRetrier(d, p) }

// A retrier is what WithRetries returns.
type retrier struct {
	next   Doer
	policy RetryPolicy
	wrong  string        // with policy or next
	whole  time.Duration // deadline of a request that names none
	random func() float64
	budget budget
}

func newRetrier(d Doer, p RetryPolicy) *retrier {
	p = p.withDefaults()
	r := &retrier{next: d, policy: p, wrong: p.mistake(), whole: deadlineDefault, random: rand.Float64}
	r.budget = budget{tenths: 10 * p.Burst, most: 10 * p.Burst}
	if d == nil {
		r.wrong = "client.WithRetries: the Doer is nil"
	}
	if b, ok := d.(interface{ wholeBudget() time.Duration }); ok {
		r.whole = b.wholeBudget()
	}
	return r
}

func (d *retrier) wholeBudget() time.Duration { return d.whole }

// Do asks, and asks again.
func (d *retrier) Do(ctx context.Context, r Request) (Reply, error) {
	if d.wrong != "" {
		return Reply{}, localError(&r, protocol.Invalid, d.wrong, false, nil)
	}
	d.budget.earn()
	end := time.Now().Add(cmp.Or(r.Deadline, d.whole))
	var past history
	for {
		reply, err := d.next.Do(ctx, r)
		if err == nil {
			reply.Tries += past.tries
			return reply, nil
		}
		var e *Error
		if !errors.As(err, &e) {
			return Reply{}, err
		}
		past.asked++
		wait, why := d.again(ctx, &r, e, past.asked, time.Until(end))
		if why == nil {
			why = sleep(ctx, wait)
		}
		if why != nil {
			return Reply{}, past.giveUp(err, e, why)
		}
		past.add(e)
		r.Deadline = time.Until(end)
	}
}

// unanswered are the outcomes after which a broker remembers nothing of an id: asked
// again under it, a request is run or joined as if this had not been. Others are
// repeated to whoever asks by their id.
var unanswered = map[protocol.Code]bool{
	protocol.Overloaded: true, protocol.DrainingNow: true, protocol.NoService: true, protocol.Unreachable: true,
}

// errEnough: it makes no sense to ask again, or it is not allowed.
var errEnough = errors.New("not asked again")

// again says how long to wait before r, asked that often, is asked again within
// left, or why it is not.
func (d *retrier) again(ctx context.Context, r *Request, e *Error, asked int, left time.Duration) (time.Duration, error) {
	rerun := d.policy.Rerun && !r.AtMostOnce && r.ID.IsZero()
	switch {
	case ctx.Err() != nil, !e.Retryable, left <= 0, d.policy.Retries == 0,
		e.Certainty != protocol.NotStarted && !rerun && (r.ID.IsZero() || !unanswered[e.Code]):
		return 0, errEnough
	case asked > d.policy.Retries:
		return 0, fmt.Errorf("not asked again: it was asked %d times", asked)
	}
	b := d.policy.Backoff
	for i := 1; i < asked && b < d.policy.BackoffMax; i++ {
		b *= 2
	}
	b = min(b, d.policy.BackoffMax)
	wait := e.RetryAfter + b/2 + time.Duration(d.random()*float64(b/2))
	if until, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(until))
	}
	switch {
	case wait > left-time.Millisecond: // the least that can be asked for
		return 0, fmt.Errorf("not asked again: after a wait of %v its deadline leaves no time", wait.Round(time.Millisecond))
	case !d.budget.spend():
		return 0, ErrRetryBudget
	}
	return wait, nil
}

// sleep lets d pass, or returns the error of ctx once that ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A history is what was asked before, under other ids.
type history struct {
	asked     int
	tries     int
	certainty protocol.Certainty
}

func (h *history) add(e *Error) {
	h.tries += e.Tries
	h.certainty = max(h.certainty, e.Certainty) // from not-started to ran
}

// giveUp is the error to return for err, the last outcome e.
func (h *history) giveUp(err error, e *Error, why error) error {
	if h.asked == 1 && errors.Is(why, errEnough) {
		return err
	}
	last := *e
	last.Tries += h.tries
	last.Certainty = max(last.Certainty, h.certainty)
	switch {
	case errors.Is(why, errEnough):
	case e.cause == nil:
		last.cause = why
	default:
		last.cause = fmt.Errorf("%w: %w", e.cause, why)
	}
	return &last
}

// A budget is a token bucket. Each request puts a tenth of a retry in.
type budget struct {
	mu     sync.Mutex
	tenths int
	most   int
}

func (b *budget) earn() {
	b.mu.Lock()
	b.tenths = min(b.tenths+1, b.most)
	b.mu.Unlock()
}

// spend takes out a retry, if there is one.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tenths < 10 {
		return false
	}
	b.tenths -= 10
	return true
}
