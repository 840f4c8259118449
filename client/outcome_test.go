package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// An id from the caller may have been used before: the broker is told so, and
// no answer is proof that nothing ran.
func TestCallersID(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, func(f *fake, q *asked) {
			f.reply(q, protocol.Denied, protocol.NotStarted)
		})
		id := protocol.ID{1, 2, 3}
		_, err := do.Do(context.Background(), Request{Service: "s", ID: id})
		if e := details(t, err, ErrDenied, protocol.MaybeStarted); e.ID != id {
			t.Errorf("id %v", e.ID)
		}
		_, err = do.Do(context.Background(), Request{Service: "s"})
		certain(t, err, ErrDenied, protocol.NotStarted)
		m := f.messages(protocol.Request)
		if m[0].msg.ID != id || !m[0].msg.Flags.Has(protocol.MaybeSent) || m[1].msg.Flags.Has(protocol.MaybeSent) || m[0].msg.Epoch != 0 || m[1].msg.Epoch != 7 {
			t.Errorf("sent %+v", m)
		}
	})
}

// A handler's own code and text, and a broker's retry-after, arrive.
func TestErrorFields(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		startFake(t, endpoint, 7, func(f *fake, q *asked) {
			f.send(q, &protocol.Message{Command: protocol.Reply, Code: protocol.Failed, ID: q.msg.ID, Number: 1, Attempt: 2,
				Flags: protocol.Retryable.WithCertainty(protocol.Ran), RetryAfterMS: 1500,
				Meta: protocol.ErrorMeta("no such page").Append(protocol.MetaErrorCode, "404")})
		})
		_, err := do.Do(context.Background(), Request{Service: "s"})
		e := details(t, err, ErrFailed, protocol.Ran)
		if e.HandlerCode != "404" || e.Message != "no such page" || e.Attempt != 2 || !e.Retryable || e.RetryAfter != 1500*time.Millisecond {
			t.Errorf("got %+v", e)
		}
		if e.Error() != "FAILED (ran): 404: no such page" {
			t.Errorf("text %q", e)
		}
	})
}

// An earlier deadline of the context is the request's.
func TestContextDeadline(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, nil)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if _, err := do.Do(ctx, Request{Service: "s"}); err != nil {
			t.Fatal(err)
		}
		if m := f.messages(protocol.Request)[0].msg; m.RemainingMS > 2000 || m.RemainingMS < 1990 {
			t.Errorf("remaining %d", m.RemainingMS)
		}
		cancel()
		before := do.Stats().Requests
		_, err := do.Do(ctx, Request{Service: "s"})
		if certain(t, err, context.Canceled, protocol.NotStarted); do.Stats().Requests != before {
			t.Error("a request whose context was done got as far as the loop")
		}
	})
}

// A context that ends before the loop has seen the request withdraws it too.
func TestWithdrawnBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		startFake(t, endpoint, 7, func(*fake, *asked) {})
		c, err := New(Config{Brokers: []string{endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		l := c.loop
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p := &Call{done: make(chan struct{}), ctx: ctx, stop: func() bool { return true }}
		var invalid *Error
		if p.spec, invalid = l.spec(&Request{Service: "s"}, &Call{}); invalid != nil {
			t.Fatal(invalid)
		}
		l.places <- struct{}{}
		l.post(command{kind: withdrawCall, call: p})
		synctest.Wait()
		l.post(command{kind: startCall, call: p})
		start := time.Now()
		_, err = p.Reply()
		certain(t, err, context.Canceled, protocol.NotStarted)
		if d := time.Since(start); d != 0 {
			t.Errorf("took %v", d)
		}
	})
}
