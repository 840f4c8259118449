package brokertest_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/brokertest"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

func shout(_ context.Context, r *worker.Request) ([]byte, error) {
	return append(r.Body(), '!'), nil
}

func ExampleNew() {
	t := newExample() // in a test, its *testing.T
	defer t.end()

	b := brokertest.New(t)
	b.Worker("shout", worker.HandlerFunc(shout))

	reply, err := b.Client().Do(t.Context(), client.Request{Service: "shout", Body: []byte("hello")})
	fmt.Println(string(reply.Body()), err)
	// Output: hello! <nil>
}

// A worker is killed at work: another one gets the request, and is told that it
// may have run.
func ExampleWorker_Kill() {
	t := newExample() // in a test, its *testing.T
	defer t.end()

	b := brokertest.New(t)
	started, cause := make(chan struct{}, 1), make(chan error, 1)
	doomed := b.Worker("shout", worker.HandlerFunc(func(ctx context.Context, _ *worker.Request) ([]byte, error) {
		started <- struct{}{}
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil, ctx.Err()
	}))
	call := b.Pipeline().Go(t.Context(), client.Request{Service: "shout", Body: []byte("hello")})
	<-started
	doomed.Kill()
	fmt.Println("first:", <-cause)
	b.Worker("shout", worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
		fmt.Println("second: attempt", r.Attempt, "may have run:", r.MaybeRerun)
		return shout(ctx, r)
	}))
	reply, err := call.Reply()
	fmt.Println(string(reply.Body()), err)
	// Output:
	// first: brokertest: the worker was killed
	// second: attempt 2 may have run: true
	// hello! <nil>
}

// A worker is frozen: what it holds is handed on when its silence has lasted for
// liveness. Here that is 40 ms; in a testing/synctest bubble the default of 3 s
// costs no time either.
func ExampleWorker_Freeze() {
	t := newExample() // in a test, its *testing.T
	defer t.end()

	b := brokertest.New(t, brokertest.WithConfig(broker.Config{Heartbeat: 20 * time.Millisecond, Liveness: 2}))
	started := make(chan struct{}, 1)
	frozen := b.Worker("shout", worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
		started <- struct{}{}
		return shout(ctx, r)
	}))
	b.WaitWorkers("shout", 1)
	frozen.Freeze()
	call := b.Pipeline().Go(t.Context(), client.Request{Service: "shout", Body: []byte("hello")})
	b.WaitWorkers("shout", 0)
	b.Worker("shout", worker.HandlerFunc(shout))
	reply, err := call.Reply()
	fmt.Println(string(reply.Body()), err, "attempt", reply.Attempt)
	fmt.Println("handlers that the frozen worker has started:", len(started))
	frozen.Thaw()
	// Output:
	// hello! <nil> attempt 2
	// handlers that the frozen worker has started: 0
}

// The broker is killed while it holds a request, and started again with an
// empty memory: the client asks again, and the worker that has the reply gives
// it, without a second run.
func ExampleBroker_Restart() {
	t := newExample() // in a test, its *testing.T
	defer t.end()

	b := brokertest.New(t)
	started, finish, runs := make(chan struct{}), make(chan struct{}), 0
	b.Worker("shout", worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
		runs++
		close(started)
		<-finish
		return shout(ctx, r)
	}))
	call := b.Pipeline().Go(t.Context(), client.Request{Service: "shout", Body: []byte("hello")})
	<-started
	before := b.Stats().Epoch
	b.Restart()
	close(finish)
	reply, err := call.Reply()
	fmt.Println(string(reply.Body()), err, "runs", runs)
	fmt.Println("the same epoch:", b.Stats().Epoch == before)
	// Output:
	// hello! <nil> runs 1
	// the same epoch: false
}

func ExampleWorker_Stop() {
	t := newExample() // in a test, its *testing.T
	defer t.end()

	b := brokertest.New(t)
	w := b.WorkerConfig(worker.Config{Services: []string{"shout", "whisper"}, Concurrency: 4}, worker.HandlerFunc(shout))
	b.WaitWorkers("whisper", 1)
	fmt.Println(w.Stop(), "running:", w.Running())
	b.WaitWorkers("whisper", 0)
	w.Restart()
	b.WaitWorkers("whisper", 1)
	fmt.Println("running:", w.Running())
	// Output:
	// <nil> running: false
	// running: true
}

// A request that nobody serves, over a slow network, from a client that does
// not wait.
func ExampleWithNetwork() {
	t := newExample() // in a test, its *testing.T
	defer t.end()

	b := brokertest.New(t, brokertest.WithNetwork(brokertest.Network{Seed: 1, Delay: 2 * time.Millisecond}))
	c := b.ClientConfig(client.Config{Retries: -1})
	_, err := c.Do(t.Context(), client.Request{Service: "nobody", NoWait: true})
	fmt.Println(errors.Is(err, client.ErrNoService))
	// Output: true
}

// The endpoints are for programs that make their own client or worker.
func ExampleBroker_Endpoints() {
	t := newExample() // in a test, its *testing.T
	defer t.end()

	b := brokertest.New(t)
	front, _ := b.Endpoints()
	c, err := client.New(client.Config{Brokers: []string{front}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pong, err := c.Ping(t.Context())
	fmt.Println(pong.Epoch == b.Stats().Epoch, err)
	// Output: true <nil>
}
