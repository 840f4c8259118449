package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/brokertest"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// An example is a testing.TB without a test around it, for package brokertest:
// here brokers are restarted, and workers killed.
type example struct {
	testing.TB
	cleanups []func()
}

func (e *example) Helper()                           {}
func (e *example) Cleanup(f func())                  { e.cleanups = append(e.cleanups, f) }
func (e *example) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (e *example) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (e *example) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (e *example) end() {
	for i := len(e.cleanups) - 1; i >= 0; i-- {
		e.cleanups[i]()
	}
}

// errors.Is tells what happened, errors.As all that is known of it: above all
// whether the work may have run.
func ExampleError() {
	e := &example{} // in a test, its *testing.T
	defer e.end()
	b := brokertest.New(e)
	b.Worker("pay", worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
		return nil, worker.Reject("NO_FUNDS", "3 are missing")
	}))

	for _, service := range []string{"pay", "nobody"} {
		// A service whose worker has not joined yet would be refused by NoWait.
		_, err := b.Client().Do(context.Background(), client.Request{Service: service, NoWait: service == "nobody", Retries: -1})
		switch {
		case errors.Is(err, client.ErrFailed):
			fmt.Println("the handler says no:", err)
		case errors.Is(err, client.ErrNoService):
			fmt.Println("start a worker:", err)
		}
		if e := (*client.Error)(nil); errors.As(err, &e) {
			fmt.Printf("code %v, handler's %q, %v, attempt %d, tries %d\n", e.Code, e.HandlerCode, e.Certainty, e.Attempt, e.Tries)
		}
	}
	// Output:
	// the handler says no: FAILED (ran): NO_FUNDS: 3 are missing
	// code FAILED, handler's "NO_FUNDS", ran, attempt 1, tries 1
	// start a worker: NO_SERVICE (not-started): no live worker serves nobody
	// code NO_SERVICE, handler's "", not-started, attempt 0, tries 1
}

// A context that ends withdraws the request, and the handler's context ends too.
func ExampleError_context() {
	e := &example{} // in a test, its *testing.T
	defer e.end()
	b := brokertest.New(e)
	started, ended := make(chan struct{}), make(chan error, 1)
	b.Worker("slow", worker.HandlerFunc(func(ctx context.Context, _ *worker.Request) ([]byte, error) {
		close(started)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil, ctx.Err()
	}))

	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-started; cancel() }()
	_, err := b.Client().Do(ctx, client.Request{Service: "slow"})
	fmt.Println(errors.Is(err, client.ErrCancelled), errors.Is(err, context.Canceled), client.NotStarted(err))
	fmt.Println("handler:", <-ended)
	// Output:
	// true true false
	// handler: the client has withdrawn the request
}

// A full broker refuses, and says when to come again.
func ExampleError_overloaded() {
	e := &example{} // in a test, its *testing.T
	defer e.end()
	b := brokertest.New(e, brokertest.WithConfig(broker.Config{MaxQueue: 1}))
	started, finish := make(chan struct{}), make(chan struct{})
	b.Worker("slow", worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
		close(started)
		<-finish
		return []byte("done"), nil
	}))

	p := b.Pipeline()
	first := p.Go(context.Background(), client.Request{Service: "slow"})
	<-started
	_, err := p.Do(context.Background(), client.Request{Service: "slow", Retries: -1})
	var full *client.Error
	fmt.Println(errors.As(err, &full), errors.Is(err, client.ErrOverloaded), full.RetryAfter > 0)
	close(finish)
	reply, err := first.Reply()
	fmt.Println(string(reply.Body()), err)
	// Output:
	// true true true
	// done <nil>
}

// Nothing was started, so anybody may ask again.
func ExampleNotStarted() {
	e := &example{} // in a test, its *testing.T
	defer e.end()
	b := brokertest.New(e)
	_, err := b.Client().Do(context.Background(), client.Request{Service: "nobody", NoWait: true, Retries: -1})
	fmt.Println(client.NotStarted(err), client.NotStarted(nil))
	// Output: true false
}

// That asking again may help is one thing; that it cannot do the work twice is
// another one.
func ExampleRetryable() {
	for _, err := range []error{
		&client.Error{Code: protocol.WorkerLost, Certainty: protocol.MaybeStarted, Retryable: true},
		&client.Error{Code: protocol.Denied, Certainty: protocol.NotStarted},
	} {
		fmt.Println(err, "| may help:", client.Retryable(err), "| safe:", client.NotStarted(err))
	}
	// Output:
	// WORKER_LOST (maybe-started) | may help: true | safe: false
	// DENIED (not-started) | may help: false | safe: true
}

// What asks takes a Doer: a test gives it one of its own, and no broker.
func ExampleDoer() {
	greet := func(d client.Doer, name string) string {
		s, err := client.Ask[string, string](context.Background(), d, "greet", name)
		if errors.Is(err, client.ErrDraining) {
			return "no time"
		}
		return s
	}
	fmt.Println(greet(doer(func(r client.Request) (client.Reply, error) {
		return client.Reply{Frames: [][]byte{r.Body}}, nil
	}), "Anne"))
	fmt.Println(greet(doer(func(client.Request) (client.Reply, error) {
		return client.Reply{}, &client.Error{Code: protocol.DrainingNow, Certainty: protocol.NotStarted}
	}), "Anne"))
	// Output:
	// Anne
	// no time
}

// When too many have been asked again already, the next one is not.
func ExampleWithRetries_budget() {
	busy := doer(func(client.Request) (client.Reply, error) {
		return client.Reply{}, &client.Error{Code: protocol.Overloaded, Certainty: protocol.NotStarted, Retryable: true, Tries: 1}
	})
	d := client.WithRetries(busy, client.RetryPolicy{Backoff: time.Millisecond, Burst: 2})
	_, err := d.Do(context.Background(), client.Request{Service: "upper"})
	var e *client.Error
	fmt.Println(errors.Is(err, client.ErrRetryBudget), errors.Is(err, client.ErrOverloaded), errors.As(err, &e) && e.Tries == 3)
	// Output: true true true
}

// The broker is killed and started again while it holds a request: the hooks are
// told of it, and the caller gets its reply.
func ExampleHooks_restart() {
	e := &example{} // in a test, its *testing.T
	defer e.end()
	b := brokertest.New(e)
	started, finish := make(chan struct{}), make(chan struct{})
	b.Worker("slow", worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
		close(started)
		<-finish
		return []byte("done"), nil
	}))

	b.Worker("quick", worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) { return r.Body(), nil }))

	told := make(chan string, 100) // hooks must not block: more than they will say
	p := b.PipelineConfig(client.Config{Hooks: client.Hooks{
		Restart: func(string) { told <- "restarted" },
		Retry:   func(_ protocol.ID, try int, _, why string) { told <- fmt.Sprintf("try %d: %s", try, why) },
		Outcome: func(o client.Outcome) { told <- fmt.Sprintf("%s: %v by attempt %d", o.Service, o.Code, o.Attempt) },
	}})
	_, _ = p.Do(context.Background(), client.Request{Service: "quick"}) // now it has heard of this broker
	fmt.Println(<-told)
	call := p.Go(context.Background(), client.Request{Service: "slow"})
	<-started
	b.Restart()
	fmt.Println(<-told)
	fmt.Println(<-told)
	close(finish)
	fmt.Println(<-told)
	reply, err := call.Reply()
	fmt.Println(string(reply.Body()), err)
	// Output:
	// quick: OK by attempt 1
	// try 2: connection lost
	// restarted
	// slow: OK by attempt 1
	// done <nil>
}

// The worker is killed in the middle of its reply, and another one makes the
// values anew. Without OnRestart the sequence would end with ErrRestarted.
func ExampleOnRestart() {
	e := &example{} // in a test, its *testing.T
	defer e.end()
	b := brokertest.New(e)
	doomed := b.Worker("countdown", worker.HandleStream(func(ctx context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			if yield(n, nil) {
				<-ctx.Done()
			}
		}
	}))

	var got []int
	restart := client.OnRestart(func() { fmt.Println("forget", got); got = nil })
	for n, err := range client.AskStream[int, int](context.Background(), b.Pipeline(), "countdown", 3, restart) {
		check(err)
		if got = append(got, n); doomed.Running() {
			doomed.Kill()
			b.Worker("countdown", countdown["countdown"])
		}
	}
	fmt.Println(got)
	// Output:
	// forget [3]
	// [3 2 1]
}
