package broker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// A rig is a broker over memory links, in virtual time, and what talks to it.
type rig struct {
	t           *testing.T
	front, back string
	broker      *broker.Broker
	stop        context.CancelFunc
	ended       chan error
}

func start(t *testing.T, cfg broker.Config) *rig {
	t.Helper()
	name := strings.ReplaceAll(t.Name(), "/", "-")
	r := &rig{t: t, front: "mem://front-" + name, back: "mem://back-" + name, ended: make(chan error, 1)}
	if len(cfg.Frontends) == 0 {
		cfg.Frontends, cfg.Backends = []string{r.front}, []string{r.back}
	}
	b, err := broker.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r.broker, r.stop = b, stop
	go func() { r.ended <- b.Run(ctx) }()
	<-b.Ready()
	return r
}

// end drains the broker and returns what Run returned.
func (r *rig) end() {
	r.t.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

// worker runs a worker until the returned function is called.
func (r *rig) worker(cfg worker.Config, h worker.Handler) (stop func()) {
	r.t.Helper()
	cfg.Brokers = []string{r.back}
	w, err := worker.New(cfg, h)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("worker: %v", err)
		}
	}
}

func (r *rig) client(cfg client.Config) *client.Client {
	r.t.Helper()
	cfg.Brokers = []string{r.front}
	c, err := client.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func echo(_ context.Context, r *worker.Request) ([]byte, error) {
	return append([]byte("echo "), r.Body()...), nil
}

// TestWholeStack: real broker, worker and client loops, in virtual time.
func TestWholeStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, broker.Config{})
		stopWorker := r.worker(worker.Config{Services: []string{"echo"}, Concurrency: 2}, worker.HandlerFunc(echo))
		c := r.client(client.Config{})
		for _, body := range []string{"one", "two", ""} {
			reply, err := c.Do(t.Context(), client.Request{Service: "echo", Body: []byte(body)})
			if err != nil || string(reply.Body()) != "echo "+body {
				t.Fatalf("Do(%q) = %q, %v", body, reply.Body(), err)
			}
		}
		pong, err := c.Ping(t.Context())
		if err != nil || pong.Epoch == 0 {
			t.Errorf("Ping = %+v, %v", pong, err)
		}
		s, err := r.broker.Stats()
		if err != nil || s.Counters.Outcomes[protocol.OK] != 3 || s.Gauges.Workers != 1 || s.Epoch != pong.Epoch {
			t.Errorf("Stats = %+v, %v", s, err)
		}
		c.Close()
		stopWorker()
		r.end()
	})
}

// TestDeadlineExactly: nobody serves it; the broker's own verdict arrives at
// the deadline, to within a tick, and says that nothing was started.
func TestDeadlineExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, broker.Config{})
		c := r.client(client.Config{Timeout: 10 * time.Second})
		begin := time.Now()
		_, err := c.Do(t.Context(), client.Request{Service: "nobody", Deadline: 5 * time.Second})
		var e *client.Error
		if !errors.As(err, &e) || e.Code != protocol.Expired || e.Certainty != protocol.NotStarted {
			t.Fatalf("err = %v", err)
		}
		if took := time.Since(begin); took < 5*time.Second || took > 5*time.Second+5*time.Millisecond {
			t.Errorf("took %v, want 5s", took)
		}
		c.Close()
		r.end()
	})
}

// TestRetriesEndAsDeadLetter: three Retry, FAILED, a dead letter; requeued
// under a new id it is served, and its outcome kept for whoever asks.
func TestRetriesEndAsDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, broker.Config{})
		healthy := false
		attempts := []int{}
		stopWorker := r.worker(worker.Config{Services: []string{"moody"}}, worker.HandlerFunc(
			func(_ context.Context, q *worker.Request) ([]byte, error) {
				attempts = append(attempts, q.Attempt)
				if !healthy {
					return nil, worker.Retry(errors.New("not today"))
				}
				return q.Body(), nil
			}))
		c := r.client(client.Config{})
		_, err := c.Do(t.Context(), client.Request{Service: "moody", Body: []byte("mood")})
		if !errors.Is(err, client.ErrFailed) || len(attempts) != 3 || attempts[2] != 3 {
			t.Fatalf("err = %v after attempts %v", err, attempts)
		}
		dead, err := r.broker.DeadLetters()
		if err != nil || len(dead) != 1 || dead[0].Service != "moody" || dead[0].Attempt != 3 || string(dead[0].Frames[0]) != "mood" {
			t.Fatalf("DeadLetters = %+v, %v", dead, err)
		}
		healthy = true
		fresh, err := r.broker.Requeue(dead[0].ID)
		if err != nil || fresh == dead[0].ID {
			t.Fatalf("Requeue = %v, %v", fresh, err)
		}
		reply, err := c.Do(t.Context(), client.Request{Service: "moody", Body: []byte("mood"), ID: fresh})
		if err != nil || string(reply.Body()) != "mood" {
			t.Errorf("the requeued one: %q, %v", reply.Body(), err)
		}
		if err := r.broker.Drop(dead[0].ID); !errors.Is(err, broker.ErrNoDeadLetter) {
			t.Errorf("Drop of what was requeued: %v", err)
		}
		c.Close()
		stopWorker()
		r.end()
	})
}

// TestDrain: what runs is finished, what is new is refused, Run returns nil.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, broker.Config{})
		stopWorker := r.worker(worker.Config{Services: []string{"slow"}}, worker.HandlerFunc(
			func(_ context.Context, q *worker.Request) ([]byte, error) {
				time.Sleep(2 * time.Second)
				return q.Body(), nil
			}))
		c := r.client(client.Config{})
		type result struct {
			body string
			err  error
		}
		running := make(chan result)
		go func() {
			reply, err := c.Do(t.Context(), client.Request{Service: "slow", Body: []byte("held")})
			running <- result{string(reply.Body()), err}
		}()
		time.Sleep(time.Second)
		begin := time.Now()
		r.stop()
		time.Sleep(10 * time.Millisecond)
		_, err := c.Do(t.Context(), client.Request{Service: "slow", Deadline: 500 * time.Millisecond})
		if !errors.Is(err, client.ErrDraining) {
			t.Errorf("a request to a draining broker: %v", err)
		}
		if got := <-running; got.body != "held" || got.err != nil {
			t.Errorf("the request that ran: %+v", got)
		}
		if err := <-r.ended; err != nil || time.Since(begin) > 2*time.Second {
			t.Errorf("Run: %v after %v", err, time.Since(begin))
		}
		if _, err := r.broker.Stats(); !errors.Is(err, broker.ErrNotRunning) {
			t.Errorf("Stats of an ended broker: %v", err)
		}
		c.Close()
		stopWorker()
	})
}

// TestPlainClient: a REQ without a header is served as the default service;
// an error it cannot be told is silence.
func TestPlainClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, broker.Config{DefaultService: "house", DefaultDeadline: time.Second})
		host := link.NewMemory()
		req, err := host.Open(link.Options{Role: link.Req, Endpoints: []string{r.front}})
		if err != nil {
			t.Fatal(err)
		}
		connect(t, host, req)
		if err := req.Send(nil, []byte("hello"), nil, []byte("world")); err != nil {
			t.Fatal(err)
		}
		if got := await(t, host, req, 2*time.Second); got != nil {
			t.Errorf("an expired plain request was answered: %q", got)
		}
		stopWorker := r.worker(worker.Config{Services: []string{"house"}}, worker.FramesFunc(
			func(_ context.Context, q *worker.Request) ([][]byte, error) { return q.Frames, nil }))
		again, err := host.Open(link.Options{Role: link.Req, Endpoints: []string{r.front}})
		if err != nil {
			t.Fatal(err)
		}
		connect(t, host, again)
		if err := again.Send(nil, []byte("hello"), nil, []byte("world")); err != nil {
			t.Fatal(err)
		}
		if got := await(t, host, again, time.Second); len(got) != 3 || string(got[0]) != "hello" || len(got[1]) != 0 {
			t.Errorf("reply %q", got)
		}
		s, err := r.broker.Stats()
		if err != nil || s.Drops["no_error_in_dialect"] != 1 {
			t.Errorf("drops %v, %v", s.Drops, err)
		}
		host.Close()
		stopWorker()
		r.end()
	})
}

// connect gives a link time for its connection.
func connect(t *testing.T, host link.Host, _ link.Link) {
	t.Helper()
	if err := host.Wait(10 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
}

// await returns the frames of the next message, nil when d passes without one.
func await(t *testing.T, host link.Host, l link.Link, d time.Duration) [][]byte {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		in, err := l.Recv(nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(in) > 0 {
			return in[0].Frames
		}
		if err := host.Wait(time.Until(end)); err != nil {
			t.Fatal(err)
		}
	}
	return nil
}

// TestGarbage: whatever arrives on either port, neighbours are served, drops
// are counted, and a client that can take an answer gets INVALID.
func TestGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, broker.Config{})
		stopWorker := r.worker(worker.Config{Services: []string{"echo"}}, worker.HandlerFunc(echo))
		host := link.NewMemory()
		open := func(endpoint string) link.Link {
			l, err := host.Open(link.Options{Role: link.Dealer, Endpoints: []string{endpoint}})
			if err != nil {
				t.Fatal(err)
			}
			connect(t, host, l)
			return l
		}
		front, back := open(r.front), open(r.back)
		header := protocol.AppendHeader(nil, protocol.FrontIn, &protocol.Message{Command: protocol.Request,
			ID: protocol.ID{1}, Number: 1, RemainingMS: 1000, Instance: 7, Service: []byte("bad\x00name")})
		for _, frames := range [][][]byte{{[]byte("x")}, {nil}, {[]byte("no"), []byte("delimiter")}, {nil, header[:30]}, {nil, header}} {
			if err := front.Send(nil, frames...); err != nil {
				t.Fatal(err)
			}
			if err := back.Send(nil, frames...); err != nil {
				t.Fatal(err)
			}
		}
		answers := 0
		for got := await(t, host, front, time.Second); got != nil; got = await(t, host, front, time.Second) {
			var m protocol.Message
			if err := protocol.Parse(protocol.FrontOut, got[1:], &m); err != nil || m.Code != protocol.Invalid {
				t.Errorf("answer %q: %v, %v", got, m.Code, err)
			}
			answers++
		}
		if answers != 2 { // the cut header and the bad name; the others cannot take one
			t.Errorf("%d answers of INVALID, want 2", answers)
		}
		c := r.client(client.Config{})
		if _, err := c.Do(t.Context(), client.Request{Service: "echo"}); err != nil {
			t.Errorf("a neighbour: %v", err)
		}
		if s, err := r.broker.Stats(); err != nil || s.Drops["malformed"] < 8 {
			t.Errorf("drops %v, %v", s.Drops, err)
		}
		c.Close()
		host.Close()
		stopWorker()
		r.end()
	})
}

// TestWorkerPullsThePlug: a worker's handler outlives the worker's drain: the
// request is handed on at once, at no cost, and told that it may have run.
func TestWorkerPullsThePlug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, broker.Config{})
		started := make(chan struct{}, 1)
		stopFirst := r.worker(worker.Config{DrainTimeout: time.Second}, worker.HandlerFunc(
			func(ctx context.Context, _ *worker.Request) ([]byte, error) {
				started <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}))
		c := r.client(client.Config{})
		var reply client.Reply
		var err error
		answered := make(chan struct{})
		go func() {
			reply, err = c.Do(t.Context(), client.Request{Service: "default"})
			close(answered)
		}()
		<-started
		var second *worker.Request
		stopSecond := r.worker(worker.Config{}, worker.HandlerFunc(func(_ context.Context, q *worker.Request) ([]byte, error) {
			second = q
			return []byte("done"), nil
		}))
		stopFirst()
		<-answered
		if err != nil || string(reply.Body()) != "done" || second.Attempt != 2 || !second.MaybeRerun {
			t.Errorf("reply %q, %v; second run %+v", reply.Body(), err, second)
		}
		c.Close()
		stopSecond()
		r.end()
	})
}

func TestConfig(t *testing.T) {
	for field, cfg := range map[string]broker.Config{
		"Heartbeat":      {Heartbeat: time.Millisecond},
		"Liveness":       {Liveness: 1},
		"MaxAttempts":    {MaxAttempts: 101},
		"Lease":          {Lease: time.Second},
		"MaxQueue":       {MaxQueue: -1},
		"MaxMessage":     {MaxMessage: 2 << 30},
		"DefaultService": {DefaultService: "a\nb"},
		"DrainTimeout":   {DrainTimeout: -1},
	} {
		if _, err := broker.New(cfg); err == nil || !strings.Contains(err.Error(), "Config."+field+" ") {
			t.Errorf("%s out of bounds: %v", field, err)
		}
	}
	b, err := broker.New(broker.Config{Frontends: []string{"http://x"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "http://x") {
		t.Errorf("a bad endpoint: %v", err)
	}
	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "before") {
		t.Errorf("Run twice: %v", err)
	}
	if _, err := b.DeadLetters(); !errors.Is(err, broker.ErrNotRunning) {
		t.Errorf("DeadLetters of a broker that never ran: %v", err)
	}
}
