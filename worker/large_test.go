package worker_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// onLoopback runs a broker on free ports until the test ends.
func onLoopback(t *testing.T, cfg broker.Config) (front, back string) {
	t.Helper()
	cfg.Frontends, cfg.Backends = []string{"tcp://127.0.0.1:0"}, []string{"tcp://127.0.0.1:0"}
	b, err := broker.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-b.Ready()
	return b.Addrs()
}

// A body may be as large as the broker allows: what a link bounds by default is
// less.
func TestLargeBody(t *testing.T) {
	const size = 20 << 20
	front, back := onLoopback(t, broker.Config{MaxMessage: size, DrainTimeout: time.Second})
	w := start(t, worker.Config{Brokers: []string{back}}, worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
		return r.Body(), nil
	}))
	p, err := client.NewPipeline(client.Config{Brokers: []string{front}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	body := bytes.Repeat([]byte("x"), size)
	reply, err := p.Do(context.Background(), client.Request{Service: "default", Body: body, Deadline: 15 * time.Second})
	if err != nil || !bytes.Equal(reply.Body(), body) || reply.Attempt != 1 {
		t.Errorf("%d bytes of attempt %d: %v", len(reply.Body()), reply.Attempt, err)
	}
	w.stop()
	if err := <-w.done; err != nil {
		t.Error(err)
	}
}

// Callers, handlers and readers run the turns of their client and worker in turn,
// while clients come and go and workers are replaced: every call has its outcome,
// and it is the right one.
func TestTurnsOfMany(t *testing.T) {
	front, back := onLoopback(t, broker.Config{DrainTimeout: time.Second})
	handler := worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
		r.Progress()
		return r.Body(), ctx.Err()
	})
	end := time.Now().Add(2 * time.Second)
	var all sync.WaitGroup
	for range 2 { // workers that are drained and come back
		all.Go(func() {
			for time.Now().Before(end) {
				w := start(t, worker.Config{Brokers: []string{back}, Concurrency: 8}, handler)
				time.Sleep(300 * time.Millisecond)
				w.stop()
				if err := <-w.done; err != nil {
					t.Error(err)
				}
			}
		})
	}
	steady := start(t, worker.Config{Brokers: []string{back}, Concurrency: 8}, handler)
	for i := range 4 {
		all.Go(func() {
			for time.Now().Before(end) {
				cfg := client.Config{Brokers: []string{front}, MaxInFlight: 16}
				c, err1 := client.New(cfg)
				p, err2 := client.NewPipeline(cfg)
				if err := errors.Join(err1, err2); err != nil {
					t.Error(err)
					return
				}
				if i == 0 {
					callers(t, c, c.Stats)
				} else {
					callers(t, p, p.Stats)
				}
				c.Close()
				p.Close()
			}
		})
	}
	all.Wait()
	steady.stop()
	if err := <-steady.done; err != nil {
		t.Error(err)
	}
}

// callers ask d at the same time. Some give up soon.
func callers(t *testing.T, d client.Doer, stats func() client.Stats) {
	var some sync.WaitGroup
	for i := range 6 {
		some.Go(func() {
			for j := range 30 {
				ctx, cancel := context.WithCancel(context.Background())
				if j%10 == 9 {
					time.AfterFunc(time.Duration(i)*100*time.Microsecond, cancel)
				}
				want := string(rune('a'+i)) + string(rune('A'+j))
				r, err := d.Do(ctx, client.Request{Service: "default", Body: []byte(want)})
				if err == nil && string(r.Body()) != want {
					t.Errorf("got %q, want %q", r.Body(), want)
				}
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				cancel()
			}
			stats()
		})
	}
	some.Wait()
}
