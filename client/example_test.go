package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"slices"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// serve runs a broker and a worker for the given services in this process, and
// returns the endpoint for clients. An endpoint mem://name is one within the
// process.
func serve(name string, handlers map[string]worker.Handler) (front string, stop func()) {
	front, back := "mem://"+name+"-front", "mem://"+name+"-back"
	b, err := broker.New(broker.Config{Frontends: []string{front}, Backends: []string{back}, Heartbeat: 20 * time.Millisecond, Liveness: 100})
	check(err)
	var mux worker.Mux
	for service, h := range handlers {
		mux.Route(service, h)
	}
	w, err := worker.New(worker.Config{Brokers: []string{back}}, &mux)
	check(err)
	run := func(f func(context.Context) error) (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- f(ctx) }()
		return func() { cancel(); check(<-done) }
	}
	stopBroker := run(b.Run)
	<-b.Ready()
	stopWorker := run(w.Run)
	return front, func() {
		stopWorker()
		stopBroker()
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// upper answers with the body in capitals.
var upper = map[string]worker.Handler{"upper": worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
	return []byte(strings.ToUpper(string(r.Body()))), nil
})}

func ExampleNew() {
	front, stop := serve("new", upper)
	defer stop()

	c, err := client.New(client.Config{Brokers: []string{front}})
	check(err)
	defer c.Close()
	reply, err := c.Do(context.Background(), client.Request{Service: "upper", Body: []byte("ahoy")})
	fmt.Println(string(reply.Body()), err)

	_, err = client.New(client.Config{Brokers: []string{"nonsense"}})
	fmt.Println(err)
	// Output:
	// AHOY <nil>
	// endpoint "nonsense": it must start with tcp://, ipc:// or mem://
}

// Each error says what happened, and whether the work may have run.
func ExampleClient_Do() {
	front, stop := serve("do", map[string]worker.Handler{"picky": worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
		return nil, worker.Reject("TASTE", "not this one")
	})})
	defer stop()
	c, err := client.New(client.Config{Brokers: []string{front}})
	check(err)
	defer c.Close()

	_, err = c.Do(context.Background(), client.Request{Service: "picky"})
	var e *client.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code, e.HandlerCode, e.Message, e.Certainty)
	}
	_, err = c.Do(context.Background(), client.Request{Service: "nobody", NoWait: true})
	fmt.Println(errors.Is(err, client.ErrNoService), client.NotStarted(err), client.Retryable(err))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = c.Do(ctx, client.Request{Service: "nobody"})
	fmt.Println(errors.Is(err, context.DeadlineExceeded), client.NotStarted(err))
	// Output:
	// FAILED TASTE not this one ran
	// true true true
	// true true
}

// A caller who was restarted takes up its request again by its id: what has run
// is not run a second time.
func ExampleRequest() {
	runs := 0
	front, stop := serve("again", map[string]worker.Handler{"count": worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
		runs++
		return fmt.Append(nil, "run ", runs), nil
	})})
	defer stop()
	c, err := client.New(client.Config{Brokers: []string{front}})
	check(err)
	defer c.Close()

	first, err := c.Do(context.Background(), client.Request{Service: "count"})
	check(err)
	again, err := c.Do(context.Background(), client.Request{Service: "count", ID: first.ID})
	fmt.Println(string(first.Body()), string(again.Body()), err)
	// Output: run 1 run 1 <nil>
}

func ExampleClient_Ping() {
	front, stop := serve("ping", upper)
	defer stop()
	c, err := client.New(client.Config{Brokers: []string{front}})
	check(err)
	defer c.Close()

	pong, err := c.Ping(context.Background())
	fmt.Println(pong.Broker == front, pong.Version, pong.MessageBytesMax, err)
	// Output: true 1 1048576 <nil>
}

// Many requests under way over one socket.
func ExampleNewPipeline() {
	front, stop := serve("pipeline", upper)
	defer stop()
	p, err := client.NewPipeline(client.Config{Brokers: []string{front}})
	check(err)
	defer p.Close()

	var calls []*client.Call
	for _, word := range []string{"ahoy", "avast"} {
		calls = append(calls, p.Go(context.Background(), client.Request{Service: "upper", Body: []byte(word)}))
	}
	for _, c := range calls {
		reply, err := c.Reply()
		fmt.Println(string(reply.Body()), err)
	}
	// Output:
	// AHOY <nil>
	// AVAST <nil>
}

// Any number of requests, a bounded number of them at a time, each outcome as it
// comes.
func ExamplePipeline_Results() {
	front, stop := serve("results", upper)
	defer stop()
	p, err := client.NewPipeline(client.Config{Brokers: []string{front}, MaxInFlight: 8})
	check(err)
	defer p.Close()

	words := func(yield func(client.Request) bool) {
		for i := range 100 {
			if !yield(client.Request{Service: "upper", Body: fmt.Append(nil, "word ", i)}) {
				return
			}
		}
	}
	got := make([]string, 100)
	for r, err := range p.Results(context.Background(), words) {
		check(err)
		got[r.Index] = string(r.Reply.Body())
	}
	fmt.Println(got[0], "…", got[99])
	// Output: WORD 0 … WORD 99
}

var countdown = map[string]worker.Handler{"countdown": worker.HandleStream(func(_ context.Context, from int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for n := from; n > 0 && yield(n, nil); n-- {
		}
	}
})}

// A reply in parts, as the handler makes them.
func ExamplePipeline_Stream() {
	front, stop := serve("stream", countdown)
	defer stop()
	p, err := client.NewPipeline(client.Config{Brokers: []string{front}})
	check(err)
	defer p.Close()

	for part, err := range p.Stream(context.Background(), client.Request{Service: "countdown", Body: []byte("3")}) {
		check(err)
		fmt.Println(part.Number, string(part.Body()), part.Last)
	}
	// Output:
	// 1 3 false
	// 2 2 false
	// 3 1 false
	// 4  true
}

// Values instead of bytes: worker.Handle is the other end.
func ExampleAsk() {
	type order struct{ Item string }
	type receipt struct{ Text string }
	front, stop := serve("ask", map[string]worker.Handler{"order": worker.Handle(func(_ context.Context, o order) (receipt, error) {
		return receipt{"one " + o.Item}, nil
	})})
	defer stop()
	c, err := client.New(client.Config{Brokers: []string{front}})
	check(err)
	defer c.Close()

	r, err := client.Ask[order, receipt](context.Background(), c, "order", order{"rum"},
		client.WithRequest(func(r *client.Request) { r.Deadline = 5 * time.Second }))
	fmt.Println(r.Text, err)
	// A reply of another form is an error, and says that the work ran.
	_, err = client.Ask[order, int](context.Background(), c, "order", order{"rum"})
	fmt.Println(errors.Is(err, client.ErrReply))
	// Output:
	// one rum <nil>
	// true
}

func ExampleAskStream() {
	front, stop := serve("askstream", countdown)
	defer stop()
	p, err := client.NewPipeline(client.Config{Brokers: []string{front}})
	check(err)
	defer p.Close()

	var got []int
	restart := client.OnRestart(func() { got = nil }) // its worker was lost, and another begins anew
	for n, err := range client.AskStream[int, int](context.Background(), p, "countdown", 3, restart) {
		check(err)
		got = append(got, n)
	}
	fmt.Println(got)
	// Output: [3 2 1]
}

// Asking again, under a new id, what was certainly not started; within a budget,
// so that a client in trouble adds little to it.
func ExampleWithRetries() {
	busy := 2
	d := client.WithRetries(doer(func(r client.Request) (client.Reply, error) {
		if busy--; busy >= 0 {
			return client.Reply{}, &client.Error{Code: protocol.Overloaded, Certainty: protocol.NotStarted, Retryable: true, RetryAfter: time.Millisecond}
		}
		return client.Reply{Frames: [][]byte{[]byte("done")}}, nil
	}), client.RetryPolicy{Backoff: time.Millisecond})

	reply, err := d.Do(context.Background(), client.Request{Service: "upper"})
	fmt.Println(string(reply.Body()), err)
	// Output: done <nil>
}

// A doer is a Doer of a test.
type doer func(client.Request) (client.Reply, error)

func (d doer) Do(_ context.Context, r client.Request) (client.Reply, error) { return d(r) }

// Hooks feed metrics, or a log.
func ExampleHooks() {
	front, stop := serve("hooks", upper)
	defer stop()
	var seen []string
	c, err := client.New(client.Config{Brokers: []string{front}, Hooks: client.Hooks{
		Connect: func(broker string) { seen = append(seen, "connected") },
		Outcome: func(o client.Outcome) { seen = append(seen, fmt.Sprint(o.Service, " ", o.Code, " tries=", o.Tries)) },
	}})
	check(err)
	_, err = c.Do(context.Background(), client.Request{Service: "upper"})
	check(err)
	c.Close()
	fmt.Println(slices.Contains(seen, "connected"), seen[len(seen)-1])
	// Output: true upper OK tries=1
}

func ExampleClient_Stats() {
	front, stop := serve("stats", upper)
	defer stop()
	c, err := client.New(client.Config{Brokers: []string{front}})
	check(err)
	_, err = c.Do(context.Background(), client.Request{Service: "upper"})
	check(err)
	c.Close()
	s := c.Stats() // after Close, the last ones
	fmt.Println(s.Requests, s.Tries, s.Outcomes[protocol.OK], s.Open)
	// Output: 1 1 1 0
}
