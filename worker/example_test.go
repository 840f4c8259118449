package worker_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// serve runs a broker and a worker in this process, and returns a client of
// theirs. An endpoint mem://name is one within the process.
func serve(name string, cfg worker.Config, h worker.Handler) (p *client.Pipeline, stop func()) {
	_, p, stop = serveWorker(name, cfg, h)
	return p, stop
}

// serveWorker is serve for who wants the worker, too.
func serveWorker(name string, cfg worker.Config, h worker.Handler) (w *worker.Worker, p *client.Pipeline, stop func()) {
	front, back := "mem://"+name+"-front", "mem://"+name+"-back"
	b, err := broker.New(broker.Config{Frontends: []string{front}, Backends: []string{back},
		Heartbeat: 20 * time.Millisecond, Liveness: 100})
	check(err)
	cfg.Brokers = []string{back}
	w, err = worker.New(cfg, h)
	check(err)
	p, err = client.NewPipeline(client.Config{Brokers: []string{front}})
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
	return w, p, func() {
		p.Close()
		stopWorker()
		stopBroker()
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// The outcome of one request, in words.
func ask(p *client.Pipeline, service, body string) string {
	reply, err := p.Do(context.Background(), client.Request{Service: service, Body: []byte(body)})
	if e := (*client.Error)(nil); errors.As(err, &e) {
		return fmt.Sprintf("%v %s: %s", e.Code, e.HandlerCode, e.Message)
	}
	return string(reply.Body())
}

// A Handler of values: no bytes, no marshalling.
func ExampleHandle() {
	type order struct {
		Item  string
		Count int
	}
	h := worker.Handle(func(_ context.Context, o order) (string, error) {
		if o.Count < 1 {
			return "", worker.Reject("NOTHING", "Count must be at least 1")
		}
		return fmt.Sprintf("%d × %s", o.Count, o.Item), nil
	})
	p, stop := serve("handle", worker.Config{Services: []string{"order"}}, h)
	defer stop()
	fmt.Println(ask(p, "order", `{"Item": "rum", "Count": 3}`))
	fmt.Println(ask(p, "order", `{"Item": "rum"}`))
	fmt.Println(ask(p, "order", `rum!`))
	// Output:
	// "3 × rum"
	// FAILED NOTHING: Count must be at least 1
	// FAILED BAD_REQUEST: the body of the request: "rum!" cannot be decoded as worker_test.order: invalid character 'r' looking for beginning of value
}

// A reply in parts, each of them a value.
func ExampleHandleStream() {
	h := worker.HandleStream(func(_ context.Context, from int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for n := from; n > 0; n-- {
				if !yield(n, nil) {
					return
				}
			}
		}
	})
	p, stop := serve("handlestream", worker.Config{Services: []string{"countdown"}}, h)
	defer stop()
	for part, err := range p.Stream(context.Background(), client.Request{Service: "countdown", Body: []byte("3")}) {
		check(err)
		fmt.Printf("%s last=%v\n", part.Body(), part.Last)
	}
	// Output:
	// 3 last=false
	// 2 last=false
	// 1 last=false
	//  last=true
}

// What else there is to know of the request, in a handler of values.
func ExampleRequestFrom() {
	h := worker.Handle(func(ctx context.Context, name string) (string, error) {
		r := worker.RequestFrom(ctx)
		r.Progress() // renews the lease
		return fmt.Sprintf("%s asked %s, attempt %d", name, r.Service, r.Attempt), nil
	})
	p, stop := serve("requestfrom", worker.Config{}, h)
	defer stop()
	fmt.Println(ask(p, "default", `"Anne"`))
	// Output: "Anne asked default, attempt 1"
}

// Several services in one worker, each with what it needs around it.
func ExampleMux() {
	text := func(s string) worker.Handler {
		return worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) { return []byte(s), nil })
	}
	var m worker.Mux
	m.Use(worker.Recover(zerolog.Nop()))
	m.Route("fast", text("quick"), worker.Timeout(time.Second))
	m.Route("costly", text("slow"), worker.Limit(2), worker.Rate(10, 5))
	p, stop := serve("mux", worker.Config{Concurrency: 16}, &m) // offers what m has
	defer stop()
	fmt.Println(m.Services())
	fmt.Println(ask(p, "fast", ""), ask(p, "costly", ""))
	// Output:
	// [costly fast]
	// quick slow
}

// Middleware is a function from Handler to Handler.
func ExampleChain() {
	shout := func(h worker.Handler) worker.Handler {
		return worker.FramesFunc(func(ctx context.Context, r *worker.Request) ([][]byte, error) {
			frames, err := h.Handle(ctx, r)
			if err == nil && len(frames) > 0 {
				frames[0] = append(frames[0], '!')
			}
			return frames, err
		})
	}
	hello := worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) { return r.Body(), nil })
	p, stop := serve("chain", worker.Config{}, worker.Chain(hello, shout, worker.Limit(8)))
	defer stop()
	fmt.Println(ask(p, "default", "ahoy"))
	// Output: ahoy!
}

// A panic with a code of its own.
func ExampleRecover() {
	h := worker.Chain(worker.Handle(func(_ context.Context, i int) (int, error) {
		return []int{10, 20}[i], nil
	}), worker.Recover(zerolog.Nop()))
	p, stop := serve("recover", worker.Config{}, h)
	defer stop()
	fmt.Println(ask(p, "default", "1"))
	fmt.Println(ask(p, "default", "2"))
	// Output:
	// 20
	// FAILED PANIC: panic: runtime error: index out of range [2] with length 2
}

// A bound on the time of one service.
func ExampleTimeout() {
	h := worker.Chain(worker.Handle(func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}), worker.Timeout(10*time.Millisecond))
	p, stop := serve("timeout", worker.Config{}, h)
	defer stop()
	fmt.Println(ask(p, "default", "1"))
	// Output: FAILED TIMEOUT: after 10ms the time-out is over: context deadline exceeded
}

// A line for each call.
func ExampleLog() {
	h := worker.Chain(worker.Handle(func(_ context.Context, i int) (int, error) {
		return 0, worker.Reject("NO", "not today")
	}), worker.Log(zerolog.New(zerolog.ConsoleWriter{Out: os.Stdout, NoColor: true, PartsOrder: []string{"level", "message"},
		FieldsExclude: []string{"request_id", "duration"}})))
	p, stop := serve("log", worker.Config{}, h)
	defer stop()
	ask(p, "default", "1")
	// Output: WRN request handled error="NO: not today" attempt=1 code=NO outcome=FAILED service=default
}

// At most one call at a time: two take twice as long as one.
func ExampleLimit() {
	h := worker.Chain(worker.Handle(func(context.Context, int) (int, error) {
		time.Sleep(20 * time.Millisecond)
		return 0, nil
	}), worker.Limit(1))
	p, stop := serve("limit", worker.Config{Concurrency: 8}, h)
	defer stop()
	start := time.Now()
	a := p.Go(context.Background(), client.Request{Service: "default", Body: []byte("1")})
	b := p.Go(context.Background(), client.Request{Service: "default", Body: []byte("2")})
	<-a.Done()
	<-b.Done()
	fmt.Println(time.Since(start) >= 40*time.Millisecond)
	// Output: true
}

// Two calls at once, and then one every 20 ms.
func ExampleRate() {
	h := worker.Chain(worker.Handle(func(_ context.Context, i int) (int, error) { return i, nil }), worker.Rate(50, 2))
	p, stop := serve("rate", worker.Config{}, h)
	defer stop()
	start := time.Now()
	for i := range 4 {
		ask(p, "default", fmt.Sprint(i))
	}
	fmt.Println(time.Since(start) >= 40*time.Millisecond)
	// Output: true
}

// Told when a broker is joined, and when the worker has left it.
func ExampleHooks() {
	hooks := worker.Hooks{
		Joined:  func(broker string) { fmt.Println("joined", broker) },
		Lost:    func(broker, why string) { fmt.Println("lost", broker, why) },
		Drained: func(broker string) { fmt.Println("left", broker) },
	}
	p, stop := serve("hooks", worker.Config{Hooks: hooks}, worker.Handle(func(_ context.Context, i int) (int, error) { return i + 1, nil }))
	fmt.Println(ask(p, "default", "1"))
	stop()
	// Output:
	// joined mem://hooks-back
	// 2
	// left mem://hooks-back
}
