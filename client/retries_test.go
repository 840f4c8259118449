package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A teller is a Doer that says what it is told to, one outcome after the other;
// the last one again and again.
type teller struct {
	mu       sync.Mutex
	outcomes []error // nil: a reply
	asked    []Request
	at       []time.Time
}

func (d *teller) Do(_ context.Context, r Request) (Reply, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := min(len(d.asked), len(d.outcomes)-1)
	d.asked, d.at = append(d.asked, r), append(d.at, time.Now())
	if err := d.outcomes[i]; err != nil {
		return Reply{}, err
	}
	return Reply{Tries: 1}, nil
}

func outcomes(list ...error) *teller { return &teller{outcomes: list} }

func overloaded(after time.Duration) *Error {
	return &Error{Code: protocol.Overloaded, Certainty: protocol.NotStarted, Retryable: true, RetryAfter: after, Tries: 2}
}

func lost() *Error {
	return &Error{Code: protocol.WorkerLost, Certainty: protocol.MaybeStarted, Retryable: true, Tries: 1}
}

// doubtful is an outcome of an id that somebody may have sent before.
func doubtful(code protocol.Code) *Error {
	return &Error{Code: code, Certainty: protocol.MaybeStarted, Retryable: true, Tries: 1}
}

// retrying is WithRetries without chance: it draws 0.5, so that 3/4 of each
// back-off is waited.
func retrying(d Doer, p RetryPolicy) *retrier {
	r := newRetrier(d, p)
	r.random = func() float64 { return 0.5 }
	return r
}

// What is asked again, and what is not.
func TestRetriesWhen(t *testing.T) {
	denied := &Error{Code: protocol.Denied, Certainty: protocol.NotStarted}
	failed := &Error{Code: protocol.Failed, Certainty: protocol.Ran, Retryable: true}
	rerun := RetryPolicy{Rerun: true}
	for _, c := range []struct {
		name   string
		policy RetryPolicy
		first  error
		r      Request
		asked  int
	}{
		{name: "refused", first: overloaded(0), asked: 2},
		{name: "refused, at most once", first: overloaded(0), r: Request{AtMostOnce: true}, asked: 2},
		{name: "for good", first: denied, asked: 1},
		{name: "for good, though it may run twice", policy: rerun, first: denied, asked: 1},
		{name: "may have run", first: lost(), asked: 1},
		{name: "may have run, and may again", policy: rerun, first: lost(), asked: 2},
		{name: "ran, and may again", policy: rerun, first: failed, asked: 2},
		{name: "may have run, at most once", policy: rerun, first: lost(), r: Request{AtMostOnce: true}, asked: 1},
		{name: "may have run, under the caller's id", policy: rerun, first: lost(), r: Request{ID: protocol.ID{1}}, asked: 1},
		{name: "refused, under the caller's id, which somebody may have sent", first: doubtful(protocol.Overloaded), r: Request{ID: protocol.ID{1}}, asked: 2},
		{name: "draining, under the caller's id", first: doubtful(protocol.DrainingNow), r: Request{ID: protocol.ID{1}, AtMostOnce: true}, asked: 2},
		{name: "no service, under the caller's id", first: doubtful(protocol.NoService), r: Request{ID: protocol.ID{1}}, asked: 2},
		{name: "unreachable, under the caller's id", first: doubtful(protocol.Unreachable), r: Request{ID: protocol.ID{1}}, asked: 2},
		{name: "lost, under the caller's id: it would be repeated", first: doubtful(protocol.WorkerLost), r: Request{ID: protocol.ID{1}}, asked: 1},
		{name: "timed out, under the caller's id: it would be repeated", first: doubtful(protocol.Timeout), r: Request{ID: protocol.ID{1}}, asked: 1},
		{name: "refused, in doubt, under an id of ours", first: doubtful(protocol.Overloaded), asked: 1},
		{name: "refused, under the caller's id", first: overloaded(0), r: Request{ID: protocol.ID{1}}, asked: 2},
		{name: "never", policy: RetryPolicy{Retries: -1}, first: overloaded(0), asked: 1},
		{name: "another error", policy: rerun, first: errors.New("other"), asked: 1},
		{name: "none", asked: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := outcomes(c.first, nil)
				_, err := retrying(d, c.policy).Do(t.Context(), c.r)
				if len(d.asked) != c.asked {
					t.Fatalf("asked %d times, want %d; %v", len(d.asked), c.asked, err)
				}
				if c.asked == 1 && err != c.first { //nolint:errorlint // that very error, with nothing added
					t.Errorf("got %v, want %v", err, c.first)
				}
				if c.asked == 2 && (err != nil || d.asked[1].ID != c.r.ID) {
					t.Errorf("got %v, under %v", err, d.asked[1].ID)
				}
			})
		})
	}
}

// The waits double up to their bound, RetryAfter comes on top, and what is left
// of the deadline goes along.
func TestRetriesWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := outcomes(overloaded(0), overloaded(time.Second), overloaded(0), overloaded(0), overloaded(0))
		_, err := retrying(d, RetryPolicy{Retries: 4, Backoff: 100 * time.Millisecond, BackoffMax: 300 * time.Millisecond}).
			Do(t.Context(), Request{Deadline: 5 * time.Second})
		var waits []time.Duration
		for i := 1; i < len(d.at); i++ {
			waits = append(waits, d.at[i].Sub(d.at[i-1]))
			if left := 5*time.Second - d.at[i].Sub(d.at[0]); d.asked[i].Deadline != left {
				t.Errorf("asked with a deadline of %v, %v is left", d.asked[i].Deadline, left)
			}
		}
		if fmt.Sprint(waits) != "[75ms 1.15s 225ms 225ms]" {
			t.Errorf("waited %v", waits)
		}
		e := details(t, err, ErrOverloaded, protocol.NotStarted)
		if e.Tries != 10 || !strings.HasSuffix(err.Error(), "not asked again: it was asked 5 times") {
			t.Errorf("got %v after %d tries", err, e.Tries)
		}
	})
}

// By chance between half and all of the back-off is waited.
func TestRetriesJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			d := outcomes(overloaded(0), nil)
			if _, err := WithRetries(d, RetryPolicy{}).Do(t.Context(), Request{}); err != nil {
				t.Fatal(err)
			}
			wait := d.at[1].Sub(d.at[0])
			if wait < 50*time.Millisecond || wait > 100*time.Millisecond {
				t.Errorf("waited %v", wait)
			}
			seen[wait] = true
		})
	}
	if len(seen) < 10 {
		t.Errorf("%d different waits of 20", len(seen))
	}
}

// Neither the request's deadline nor the context is waited beyond.
func TestRetriesDeadline(t *testing.T) {
	for _, c := range []struct {
		name     string
		ctx      time.Duration // 0: none
		deadline time.Duration
		after    time.Duration
		asked    int
	}{
		{name: "in time", deadline: 2 * time.Second, after: time.Second, asked: 2},
		{name: "too late", deadline: time.Second, after: time.Second, asked: 1},
		{name: "the context's", ctx: time.Second, after: time.Second, asked: 1},
		{name: "the client's own", after: 3 * time.Second, asked: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.ctx > 0 {
					var stop context.CancelFunc
					ctx, stop = context.WithTimeout(ctx, c.ctx)
					defer stop()
				}
				d := outcomes(overloaded(c.after), nil)
				r := retrying(d, RetryPolicy{})
				r.whole = 3 * time.Second
				start := time.Now()
				_, err := r.Do(ctx, Request{Deadline: c.deadline})
				if len(d.asked) != c.asked {
					t.Fatalf("asked %d times, want %d; %v", len(d.asked), c.asked, err)
				}
				if c.asked == 2 {
					return
				}
				certain(t, err, ErrOverloaded, protocol.NotStarted)
				if time.Since(start) != 0 || !strings.Contains(err.Error(), "its deadline leaves no time") {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
}

// A context that ends during a wait ends that at once.
func TestRetriesContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		d := outcomes(overloaded(0))
		start := time.Now()
		_, err := retrying(d, RetryPolicy{}).Do(ctx, Request{})
		certain(t, err, ErrOverloaded, protocol.NotStarted)
		if !errors.Is(err, context.Canceled) || len(d.asked) != 1 || time.Since(start) != 10*time.Millisecond {
			t.Errorf("after %v, asked %d times: %v", time.Since(start), len(d.asked), err)
		}
	})
}

// The certainty is that of all that was asked.
func TestRetriesCertainty(t *testing.T) {
	denied := &Error{Code: protocol.Denied, Certainty: protocol.NotStarted, Tries: 1}
	synctest.Test(t, func(t *testing.T) {
		d := outcomes(lost(), denied)
		_, err := retrying(d, RetryPolicy{Rerun: true}).Do(t.Context(), Request{})
		if e := details(t, err, ErrDenied, protocol.MaybeStarted); e.Tries != 2 || NotStarted(err) || denied.Certainty != protocol.NotStarted {
			t.Errorf("got %+v; the Doer's own is %v", e, denied)
		}
		reply, err := retrying(outcomes(lost(), lost(), nil), RetryPolicy{Rerun: true}).Do(t.Context(), Request{})
		if err != nil || reply.Tries != 3 {
			t.Errorf("%d tries, %v", reply.Tries, err)
		}
	})
}

// However bad it gets, one retry for ten requests is made, and Burst beyond; the
// others say that the budget is used up. A reply now and then does not change it.
func TestRetriesBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := outcomes(overloaded(0))
		r := retrying(d, RetryPolicy{Retries: 5, Burst: 20})
		refused := 0
		var all sync.WaitGroup
		var mu sync.Mutex
		const n = 1000
		for i := range n {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				_, err := r.Do(t.Context(), Request{})
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, ErrRetryBudget) {
					certain(t, err, ErrOverloaded, protocol.NotStarted)
					refused++
				}
			})
		}
		all.Wait()
		if extra := len(d.asked) - n; extra < n/10 || extra > n/10+20 {
			t.Errorf("%d retries of %d requests", extra, n)
		}
		if refused < n/2 {
			t.Errorf("the budget was used up for %d of %d", refused, n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		d := outcomes(overloaded(0))
		r := retrying(d, RetryPolicy{Burst: 1})
		r.Do(t.Context(), Request{}) //nolint:errcheck // it uses the budget up
		_, err := r.Do(t.Context(), Request{})
		if len(d.asked) != 3 || !errors.Is(err, ErrRetryBudget) || !strings.HasSuffix(err.Error(), "not asked again: the budget for retries is used up") {
			t.Errorf("asked %d times: %v", len(d.asked), err)
		}
	})
}

func TestRetriesInvalid(t *testing.T) {
	for want, p := range map[string]RetryPolicy{
		"RetryPolicy.Retries is 101; at most 100": {Retries: 101},
		"RetryPolicy.Backoff is -1s":              {Backoff: -time.Second},
		"RetryPolicy.BackoffMax is 1s":            {Backoff: time.Minute, BackoffMax: time.Second},
		"RetryPolicy.Burst is -1":                 {Burst: -1},
		"RetryPolicy.Burst is 1000001":            {Burst: 1_000_001},
	} {
		d := outcomes(nil)
		_, err := WithRetries(d, p).Do(t.Context(), Request{})
		certain(t, err, ErrInvalid, protocol.NotStarted)
		if !strings.Contains(err.Error(), want) || len(d.asked) != 0 {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	_, err := WithRetries(nil, RetryPolicy{}).Do(t.Context(), Request{})
	certain(t, err, ErrInvalid, protocol.NotStarted)
	if p := (RetryPolicy{Backoff: time.Minute}).withDefaults(); p.mistake() != "" {
		t.Errorf("a back-off over the default bound: %s", p.mistake())
	}
}

// With a client: each ask has an id of its own, and the client's Deadline is the
// whole.
func TestRetriesOfClient(t *testing.T) {
	bubble(t, Config{Retries: -1, Deadline: 9 * time.Second}, func(t *testing.T, do doer) {
		n := 0
		f := startFake(t, endpoint, 7, func(f *fake, q *asked) {
			if n++; n > 2 {
				f.echo(q)
				return
			}
			f.send(q, &protocol.Message{Command: protocol.Reply, Code: protocol.NoService, Flags: protocol.Retryable.WithCertainty(protocol.NotStarted),
				ID: q.msg.ID, Number: q.msg.Number, Epoch: f.epoch})
		})
		d := WithRetries(WithRetries(do, RetryPolicy{Retries: -1}), RetryPolicy{})
		v, err := Ask[int, int](context.Background(), d, "s", 5, WithRequest(func(r *Request) { r.NoWait = true }))
		if err != nil || v != 5 {
			t.Fatalf("%d, %v", v, err)
		}
		m := f.messages(protocol.Request)
		if len(m) != 3 || m[0].msg.ID == m[1].msg.ID || m[1].msg.ID == m[2].msg.ID {
			t.Fatalf("sent %d", len(m))
		}
		for i, s := range m {
			left := 9*time.Second - s.at.Sub(m[0].at)
			if s.msg.Flags.Has(protocol.MaybeSent) || (time.Duration(s.msg.RemainingMS)*time.Millisecond-left).Abs() > 2*time.Millisecond {
				t.Errorf("%d: remaining %d, want %v; flags %b", i, s.msg.RemainingMS, left, s.msg.Flags)
			}
		}
	})
}

func TestCertaintyWords(t *testing.T) {
	wrapped := fmt.Errorf("wrapped: %w", overloaded(0))
	for _, c := range []struct {
		err                   error
		retryable, notStarted bool
	}{
		{nil, false, false}, {errors.New("x"), false, false}, {wrapped, true, true}, {lost(), true, false},
		{&Error{Code: protocol.Denied, Certainty: protocol.NotStarted}, false, true},
	} {
		if r, n := Retryable(c.err), NotStarted(c.err); r != c.retryable || n != c.notStarted {
			t.Errorf("%v: %v, %v", c.err, r, n)
		}
	}
}
