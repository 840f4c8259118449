package brokertest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/brokertest"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// slow takes a second, and tells of each run on ran.
func slow(name string, ran chan<- string) worker.Handler {
	return worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
		ran <- fmt.Sprintf("%s attempt=%d rerun=%v", name, r.Attempt, r.MaybeRerun)
		time.Sleep(time.Second)
		return []byte(name), nil
	})
}

func drained(ran chan string) (all []string) {
	for len(ran) > 0 {
		all = append(all, <-ran)
	}
	return all
}

// clock returns a function that checks how much virtual time has passed.
func clock(t *testing.T) func(want time.Duration) {
	began := time.Now()
	return func(want time.Duration) {
		t.Helper()
		if got := time.Since(began); got != want {
			t.Errorf("at %v, want exactly %v", got, want)
		}
	}
}

func TestKilledWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		ran := make(chan string, 10)
		cause := make(chan error, 1)
		first := b.Worker("s", worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
			ran <- fmt.Sprint("first attempt=", r.Attempt)
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return []byte("from the grave"), nil
		}))
		b.WaitWorkers("s", 1)
		at := clock(t)
		call := b.Pipeline().Go(t.Context(), client.Request{Service: "s"})
		b.Worker("s", slow("second", ran)) // joins when the first has the request
		time.Sleep(100 * time.Millisecond)
		first.Kill()
		at(100 * time.Millisecond)
		if first.Running() {
			t.Error("a killed worker runs")
		}
		reply, err := call.Reply()
		if err != nil || string(reply.Body()) != "second" || reply.Attempt != 2 {
			t.Errorf("got %+v, %v", reply, err)
		}
		at(1152 * time.Millisecond) // killed at 100, the connection looked after at 102, the grace of 50, a second's run
		if err := <-cause; !errors.Is(err, brokertest.ErrKilled) {
			t.Errorf("the killed handler's context ended with %v", err)
		}
		if got := drained(ran); !slices.Equal(got, []string{"first attempt=1", "second attempt=2 rerun=true"}) {
			t.Errorf("runs: %q", got)
		}
		if s := b.Stats(); s.Gauges.Workers != 1 || s.Counters.Outcomes[protocol.OK] != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestFrozenWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		ran := make(chan string, 10)
		first := b.Worker("s", slow("first", ran))
		b.WaitWorkers("s", 1)
		at := clock(t)
		call := b.Pipeline().Go(t.Context(), client.Request{Service: "s"})
		time.Sleep(500 * time.Millisecond)
		first.Freeze()
		second := b.Worker("s", slow("second", ran))
		b.WaitWorkers("s", 2)
		at(500 * time.Millisecond)
		b.WaitWorkers("s", 1)
		at(3020 * time.Millisecond) // it was heard of at 20 ms last, when it said that it had started the request
		if !first.Running() {
			t.Error("a frozen worker has ended")
		}
		time.Sleep(100 * time.Millisecond)
		first.Thaw() // its reply is a second and more old, and comes first
		reply, err := call.Reply()
		if err != nil || string(reply.Body()) != "first" || reply.Attempt != 1 {
			t.Errorf("got %+v, %v", reply, err)
		}
		at(3120 * time.Millisecond)
		if got := drained(ran); !slices.Equal(got, []string{"first attempt=1 rerun=false", "second attempt=2 rerun=true"}) {
			t.Errorf("runs: %q", got)
		}
		if s := first.Stats(); s.Pauses != 1 || s.OK != 1 {
			t.Errorf("stats of the frozen one: %+v", s)
		}
		if err := second.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
}

func TestFrozenWorkerStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		ran := make(chan string, 10)
		w := b.Worker("s", slow("w", ran))
		b.WaitWorkers("s", 1)
		w.Freeze()
		w.Freeze()
		_, err := b.Client().Do(t.Context(), client.Request{Service: "s", Deadline: time.Minute, Timeout: time.Hour})
		if !errors.Is(err, client.ErrExpired) || len(ran) != 0 {
			t.Errorf("%v, after %d runs", err, len(ran))
		}
		at := clock(t)
		if err := w.Stop(); err != nil { // thaws it
			t.Errorf("Stop: %v", err)
		}
		at(0)
		if len(ran) != 0 || w.Running() {
			t.Errorf("%d runs after the deadline; running %v", len(ran), w.Running())
		}
	})
}

func TestRestartedBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		const requests = 20
		ran := make(chan string, 3*requests)
		b.WorkerConfig(worker.Config{Services: []string{"s"}, Concurrency: 4}, slow("w", ran))
		b.WaitWorkers("s", 1)
		epoch, at := b.Stats().Epoch, clock(t)
		p := b.Pipeline()
		var calls []*client.Call
		for range requests {
			calls = append(calls, p.Go(t.Context(), client.Request{Service: "s", Deadline: time.Minute}))
		}
		time.Sleep(1500 * time.Millisecond) // four are done, four run, twelve wait
		b.Kill()
		b.Kill()
		time.Sleep(time.Second) // four have finished meanwhile
		b.Restart()
		at(2500 * time.Millisecond)
		for i, c := range calls {
			if reply, err := c.Reply(); err != nil || string(reply.Body()) != "w" {
				t.Errorf("request %d: %q, %v", i, reply.Body(), err)
			}
		}
		at(13500 * time.Millisecond) // restarted at 2.5, the recovery window of 8 s, three rounds of four
		if got := drained(ran); len(got) != requests {
			t.Errorf("%d runs, want %d: %q", len(got), requests, got)
		}
		if s := b.Stats(); s.Epoch == epoch {
			t.Error("the epoch is the same after the restart")
		}
	})
}

func TestFrozenBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		b.Worker("s", slow("w", make(chan string, 10)))
		b.WaitWorkers("s", 1)
		b.Freeze()
		at := clock(t)
		call := b.Pipeline().Go(t.Context(), client.Request{Service: "s"})
		time.Sleep(1500 * time.Millisecond)
		b.Thaw()
		reply, err := call.Reply()
		if err != nil || string(reply.Body()) != "w" {
			t.Errorf("got %+v, %v", reply, err)
		}
		at(2500 * time.Millisecond)
		b.Freeze() // the Cleanup copes with that
	})
}

func TestStopFinishesWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		ran := make(chan string, 10)
		w := b.Worker("s", slow("w", ran))
		b.WaitWorkers("s", 1)
		at := clock(t)
		time.Sleep(100 * time.Millisecond) // away from the heartbeats
		call := b.Pipeline().Go(t.Context(), client.Request{Service: "s"})
		if <-ran != "w attempt=1 rerun=false" {
			t.Error("another run")
		}
		for range 2 {
			if err := w.Stop(); err != nil {
				t.Errorf("Stop: %v", err)
			}
			at(1100 * time.Millisecond) // the reply to a draining worker is acknowledged at once
		}
		if reply, err := call.Reply(); err != nil || string(reply.Body()) != "w" {
			t.Errorf("got %+v, %v", reply, err)
		}
		b.WaitWorkers("s", 0)
		w.Restart()
		b.WaitWorkers("s", 1)
		at(1100 * time.Millisecond)
		if s := w.Stats(); s.Started != 0 || s.Joined != 1 || !w.Running() {
			t.Errorf("after Restart: %+v", s)
		}
		if _, err := b.Client().Do(t.Context(), client.Request{Service: "s"}); err != nil {
			t.Errorf("after Restart: %v", err)
		}
	})
}

// Handlers that answer as soon as they hear of the kill: nothing gets out.
func TestKilledWorkerAnswersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, brokertest.WithConfig(broker.Config{MaxAttempts: 1}))
		const n = 100
		w := b.WorkerConfig(worker.Config{Services: []string{"s"}, Concurrency: n}, worker.HandlerFunc(
			func(ctx context.Context, _ *worker.Request) ([]byte, error) {
				<-ctx.Done()
				return []byte("from the grave"), nil
			}))
		for range 3 {
			p := b.Pipeline()
			var calls []*client.Call
			for range n {
				calls = append(calls, p.Go(t.Context(), client.Request{Service: "s"}))
			}
			synctest.Wait()
			time.Sleep(100 * time.Millisecond)
			if s := w.Stats(); s.Running != n {
				t.Errorf("%d handlers run", s.Running)
			}
			w.Restart()
			for _, c := range calls {
				if reply, err := c.Reply(); !errors.Is(err, client.ErrWorkerLost) {
					t.Errorf("got %q, %v", reply.Body(), err)
				}
			}
		}
	})
}

// A handler kills its own worker: nothing of what it returns gets out.
func TestHandlerKillsItsWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, brokertest.WithConfig(broker.Config{MaxAttempts: 1}))
		var w *brokertest.Worker
		w = b.Worker("s", worker.HandlerFunc(func(ctx context.Context, _ *worker.Request) ([]byte, error) {
			w.Kill()
			return []byte("done"), context.Cause(ctx)
		}))
		b.WaitWorkers("s", 1)
		_, err := b.Client().Do(t.Context(), client.Request{Service: "s"})
		var e *client.Error
		if !errors.As(err, &e) || e.Code != protocol.WorkerLost || e.Certainty != protocol.MaybeStarted {
			t.Errorf("got %v", err)
		}
	})
}

func TestNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, brokertest.WithNetwork(brokertest.Network{Delay: 50 * time.Millisecond}))
		b.Worker("s", worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) { return r.Body(), nil }))
		b.WaitWorkers("s", 1)
		time.Sleep(time.Second) // for its credit
		at := clock(t)
		if _, err := b.Client().Do(t.Context(), client.Request{Service: "s"}); err != nil {
			t.Error(err)
		}
		at(200 * time.Millisecond)
	})
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, brokertest.WithNetwork(brokertest.Network{Seed: 3, Loss: 0.02, Dup: 0.1, Cut: 0.01}))
		b.Worker("s", worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) { return r.Body(), nil }))
		p := b.Pipeline()
		for i := range 200 {
			if r, err := p.Do(t.Context(), client.Request{Service: "s", Body: fmt.Append(nil, i)}); err != nil || string(r.Body()) != fmt.Sprint(i) {
				t.Errorf("%d: %q, %v", i, r.Body(), err)
			}
		}
		if s := p.Stats(); s.Disconnects == 0 {
			t.Errorf("no fault came: %+v", s)
		}
	})
}

// What is wrong ends the test, and says why.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for want, f := range map[string]func(*example){
			"broker: Config.Liveness is 1": func(e *example) {
				brokertest.New(e, brokertest.WithConfig(broker.Config{Liveness: 1}))
			},
			"Config.Concurrency: -1":     func(e *example) { brokertest.New(e).WorkerConfig(worker.Config{Concurrency: -1}, slow("", nil)) },
			"handler is nil":             func(e *example) { brokertest.New(e).Worker("s", nil) },
			"client: Timeout is -1ns":    func(e *example) { brokertest.New(e).ClientConfig(client.Config{Timeout: -1}) },
			"client: MaxMessage is -1":   func(e *example) { brokertest.New(e).PipelineConfig(client.Config{MaxMessage: -1}) },
			"0 live workers of s after":  func(e *example) { brokertest.New(e).WaitWorkers("s", 1) },
			"broker: not running":        func(e *example) { b := brokertest.New(e); b.Kill(); b.WaitWorkers("s", 1) },
			"Stats: broker: not running": func(e *example) { b := brokertest.New(e); b.Kill(); b.Stats() },
			"loss=2 is not a probability": func(e *example) {
				brokertest.New(e, brokertest.WithNetwork(brokertest.Network{Loss: 2})).Client()
			},
			"the test is over": func(e *example) {
				b := brokertest.New(e)
				b.Worker("s", slow("", nil)).Kill()
				e.clean()
				b.Worker("s", slow("", nil))
			},
			"has ended by itself": func(e *example) {
				b := brokertest.New(e, brokertest.WithNetwork(brokertest.Network{Loss: 2}))
				b.Worker("s", slow("", nil))
				time.Sleep(time.Second) // it may take its time before it opens its link
			},
			"a handler has not returned 10s after": func(e *example) {
				b := brokertest.New(e)
				started := make(chan struct{})
				b.Worker("s", worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
					close(started)
					time.Sleep(11 * time.Second)
					return nil, nil
				}))
				b.Pipeline().Go(t.Context(), client.Request{Service: "s"})
				<-started
			},
		} {
			if got := fails(f); len(got) != 1 || !strings.Contains(got[0], want) {
				t.Errorf("failed with %q, want one with %q", got, want)
			}
		}
		time.Sleep(10 * time.Second) // for the handler that took too long
	})
}
