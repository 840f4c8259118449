package worker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// A worker serves until its context ends; then it drains. serve, in this file's
// neighbour, runs a broker and w.Run beside each other.
func ExampleNew() {
	h := worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
		return append(r.Body(), '!'), nil
	})
	p, stop := serve("new", worker.Config{Services: []string{"shout"}}, h)
	defer stop()
	fmt.Println(ask(p, "shout", "ahoy"))

	_, err := worker.New(worker.Config{Concurrency: 5000}, h)
	fmt.Println(err)
	_, err = worker.New(worker.Config{}, nil)
	fmt.Println(err)
	// Output:
	// ahoy!
	// Config.Concurrency: 5000; want 1 to 4096
	// worker.New: handler is nil
}

// Run returns nil when all that it held is finished or handed back.
func ExampleWorker_Run() {
	w, err := worker.New(worker.Config{Brokers: []string{"mem://nobody"}}, worker.HandlerFunc(nil2nil))
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond) // a program's is of signal.NotifyContext
	defer cancel()
	fmt.Println(w.Run(ctx)) // a broker that is away is no error
	fmt.Println(w.Stats().Started)
	// Output:
	// <nil>
	// 0
}

func nil2nil(context.Context, *worker.Request) ([]byte, error) { return nil, nil }

// Frames as they came, and a header of the reply.
func ExampleFramesFunc() {
	h := worker.FramesFunc(func(_ context.Context, r *worker.Request) ([][]byte, error) {
		r.SetReplyHeader("frames", fmt.Sprint(len(r.Frames)))
		return r.Frames, nil
	})
	p, stop := serve("frames", worker.Config{}, h)
	defer stop()
	reply, err := p.Do(context.Background(), client.Request{Service: "default", Frames: [][]byte{[]byte("a"), {}, []byte("c")}})
	fmt.Printf("%q %v %v\n", reply.Frames, reply.Headers, err)
	// Output: ["a" "" "c"] [{frames 3}] <nil>
}

// A handler that cannot do it now asks for another attempt, here or elsewhere;
// the broker waits a little before.
func ExampleRetry() {
	h := worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
		if r.Attempt == 1 {
			return nil, worker.Retry(errors.New("the printer is busy"))
		}
		return fmt.Append(nil, "printed, attempt ", r.Attempt), nil
	})
	p, stop := serve("retry", worker.Config{Services: []string{"print"}}, h)
	defer stop()
	fmt.Println(ask(p, "print", "a page"))
	// Output: printed, attempt 2
}

// A handler's own code for what is wrong: the client gets both texts.
func ExampleReject() {
	h := worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
		return nil, worker.Reject("NO_PAPER", "put paper in")
	})
	p, stop := serve("reject", worker.Config{Services: []string{"print"}}, h)
	defer stop()
	fmt.Println(ask(p, "print", "a page"))
	// Output: FAILED NO_PAPER: put paper in
}

// Parts of a reply go out as they are made. Each of them counts as progress; a
// handler without parts says Progress now and then, if the broker has a lease.
func ExampleRequest_SendPart() {
	h := worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
		for page := range 2 {
			r.Progress() // worker.Progress(ctx) is the same where only ctx is at hand
			if err := r.SendPart(fmt.Append(nil, "page ", page+1)); err != nil {
				return nil, err // the context has ended
			}
		}
		return []byte("all"), nil
	})
	p, stop := serve("parts", worker.Config{Services: []string{"scan"}}, h)
	defer stop()
	for part, err := range p.Stream(context.Background(), client.Request{Service: "scan"}) {
		check(err)
		fmt.Println(string(part.Body()))
	}
	// Output:
	// page 1
	// page 2
	// all
}

// Why a handler's context has ended.
func ExampleProgress() {
	cause := make(chan error, 1)
	h := worker.HandlerFunc(func(ctx context.Context, _ *worker.Request) ([]byte, error) {
		worker.Progress(ctx)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil, ctx.Err()
	})
	p, stop := serve("cause", worker.Config{Services: []string{"slow"}}, h)
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	call := p.Go(ctx, client.Request{Service: "slow"})
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := call.Reply()
	fmt.Println(errors.Is(err, client.ErrCancelled))
	fmt.Println(<-cause)
	// Output:
	// true
	// the client has withdrawn the request
}
