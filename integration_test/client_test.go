package integration

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// An asker is a client of either kind.
type asker interface {
	Do(context.Context, client.Request) (client.Reply, error)
	Close() error
}

// newClient makes a client that is closed with the test.
func newClient(t *testing.T, c client.Config) *client.Client {
	t.Helper()
	cl, err := client.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close() })
	return cl
}

func newPipeline(t *testing.T, c client.Config) *client.Pipeline {
	t.Helper()
	p, err := client.NewPipeline(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// at is the configuration of a client of these brokers.
func at(brokers ...*brokerProcess) (c client.Config) {
	for _, b := range brokers {
		c.Brokers = append(c.Brokers, b.front)
	}
	return c
}

// withBoth runs a test with each kind of client.
func withBoth(t *testing.T, f func(t *testing.T, newAsker func(client.Config) asker)) {
	t.Run("client", func(t *testing.T) { f(t, func(c client.Config) asker { return newClient(t, c) }) })
	t.Run("pipeline", func(t *testing.T) { f(t, func(c client.Config) asker { return newPipeline(t, c) }) })
}

// newID draws the id of a request that the test wants to follow.
func newID() protocol.ID { return protocol.ID(uuid.Must(uuid.NewV7())) }

// ask is a request whose handler is told what to do.
func ask(do, body string) client.Request {
	return client.Request{Service: "default", Body: []byte(body), Headers: []client.Header{{Key: "do", Value: do}}}
}

// askAs is ask under an id.
func askAs(id protocol.ID, do, body string) client.Request {
	r := ask(do, body)
	r.ID = id
	return r
}

// An answer is what Do returned, and after what time.
type answer struct {
	reply client.Reply
	err   error
	took  time.Duration
}

// begin sends a request without waiting for its outcome.
func begin(ctx context.Context, c asker, r client.Request) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		began := time.Now()
		reply, err := c.Do(ctx, r)
		done <- answer{reply, err, time.Since(began)}
	}()
	return done
}

// outcome waits for the outcome of what was begun.
func outcome(t *testing.T, done <-chan answer) answer {
	t.Helper()
	select {
	case a := <-done:
		return a
	case <-time.After(time.Minute):
		t.Fatal("no outcome within a minute")
		return answer{}
	}
}

// wantReply checks that the outcome is OK with that body.
func wantReply(t *testing.T, a answer, body string) client.Reply {
	t.Helper()
	if a.err != nil {
		t.Fatalf("after %v: %v", a.took, a.err)
	}
	if len(a.reply.Frames) != 1 || string(a.reply.Frames[0]) != body {
		t.Fatalf("reply %q, want %q", a.reply.Frames, body)
	}
	return a.reply
}

// wantError checks that the outcome is that error, and what is known of whether
// it ran.
func wantError(t *testing.T, err, want error, certainty protocol.Certainty) *client.Error {
	t.Helper()
	var e *client.Error
	if !errors.Is(err, want) || !errors.As(err, &e) {
		t.Fatalf("error %v, want %v", err, want)
	}
	if e.Certainty != certainty {
		t.Fatalf("%v: %v, want %v", err, e.Certainty, certainty)
	}
	return e
}

// do sends a request and waits for the reply, which must be its body.
func do(t *testing.T, c asker, r client.Request) client.Reply {
	t.Helper()
	return wantReply(t, outcome(t, begin(testContext(t), c, r)), string(r.Body))
}

func pidOf(r client.Reply) string {
	for _, h := range r.Headers {
		if h.Key == "pid" {
			return h.Value
		}
	}
	return ""
}

// A load is a number of requests sent through a pipeline.
type load struct {
	t    *testing.T
	n    int
	done chan struct{}
	ids  []string // by number
	errs []error
	over []bool // failed over
}

// startLoad sends n requests at once, as far as the pipeline lets it.
func startLoad(t *testing.T, p *client.Pipeline, n int, request func(i int) client.Request) *load {
	l := &load{t: t, n: n, done: make(chan struct{}), ids: make([]string, n), errs: make([]error, n), over: make([]bool, n)}
	ctx := testContext(t)
	requests := func(yield func(client.Request) bool) {
		for i := range n {
			if !yield(request(i)) {
				return
			}
		}
	}
	go func() {
		defer close(l.done)
		for r, err := range p.Results(ctx, requests) {
			l.ids[r.Index], l.over[r.Index] = r.Reply.ID.String(), r.Reply.FailedOver
			var e *client.Error
			if errors.As(err, &e) {
				l.ids[r.Index], l.over[r.Index] = e.ID.String(), e.FailedOver
			}
			if err == nil && !bytes.Equal(r.Reply.Body(), r.Request.Body) {
				err = fmt.Errorf("reply %q to request %q", r.Reply.Body(), r.Request.Body)
			}
			l.errs[r.Index] = err
		}
	}()
	return l
}

// wait waits for all outcomes.
func (l *load) wait() {
	l.t.Helper()
	select {
	case <-l.done:
	case <-time.After(100 * time.Second):
		l.t.Fatal("the load does not end")
	}
}

// wantAll waits for all outcomes, which must be the right replies.
func (l *load) wantAll() {
	l.t.Helper()
	l.wait()
	failed := 0
	for i, err := range l.errs {
		if err != nil {
			if failed++; failed <= 5 {
				l.t.Errorf("request %d of the load: %v", i, err)
			}
		}
	}
	if failed > 0 {
		l.t.Errorf("%d of %d requests of the load failed", failed, l.n)
	}
}

// patient is a configuration for clients that outlive brokers.
func patient(c client.Config) client.Config {
	c.Timeout = cmp.Or(c.Timeout, 500*time.Millisecond)
	c.Retries = 1000
	return c
}
