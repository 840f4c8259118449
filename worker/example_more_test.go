package worker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// A header goes out with a reply and with an error alike.
func ExampleRequest_SetReplyHeader() {
	h := worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
		r.SetReplyHeader("content-type", "text/plain")
		r.SetReplyHeader("server", "7")
		return r.Body(), nil
	})
	p, stop := serve("header", worker.Config{}, h)
	defer stop()
	reply, err := p.Do(context.Background(), client.Request{Service: "default", Body: []byte("ahoy")})
	for _, header := range reply.Headers {
		fmt.Println(header.Key, "=", header.Value)
	}
	fmt.Println(string(reply.Body()), err)
	// Output:
	// content-type = text/plain
	// server = 7
	// ahoy <nil>
}

// Middleware tells what a handler has made of a request: a reply, an error, or
// the wish for another attempt.
func ExampleIsRetry() {
	say := func(err error) string {
		var reject *worker.RejectError
		switch {
		case worker.IsRetry(err):
			return "again: " + err.Error()
		case errors.As(err, &reject):
			return "no, code " + reject.Code
		}
		return "failed: " + err.Error()
	}
	busy := errors.New("busy")
	fmt.Println(say(worker.Retry(busy)))
	fmt.Println(say(worker.Reject("NO_PAPER", "put paper in")))
	fmt.Println(say(busy))
	// Output:
	// again: busy
	// no, code NO_PAPER
	// failed: busy
}

// What is wrong with a Mux is known before it serves.
func ExampleMux_Err() {
	h := worker.HandlerFunc(nil2nil)
	var m worker.Mux
	m.Route("print", h)
	m.Route("print", h)
	fmt.Println(m.Err())
	_, err := worker.New(worker.Config{}, &m)
	fmt.Println(err)
	// Output:
	// Mux.Route("print"): it is registered already
	// worker.New: Mux.Route("print"): it is registered already
}

// words is a Codec of strings, as they are.
type words struct{}

func (words) Marshal(v any) ([]byte, error)      { return fmt.Append(nil, v), nil }
func (words) Unmarshal(data []byte, v any) error { *v.(*string) = string(data); return nil }
func (words) ContentType() string                { return "text/plain" }

// Another codec than JSON.
func ExampleWithCodec() {
	h := worker.Handle(func(_ context.Context, s string) (string, error) { return s + "!", nil }, worker.WithCodec(words{}))
	p, stop := serve("codec", worker.Config{}, h)
	defer stop()
	fmt.Println(ask(p, "default", "ahoy"))
	// Output: ahoy!
}

// The counters of a worker that has drained.
func ExampleWorker_Stats() {
	h := worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
		if len(r.Body()) == 0 {
			return nil, errors.New("nothing to do")
		}
		return r.Body(), nil
	})
	w, p, stop := serveWorker("stats", worker.Config{}, h)
	ask(p, "default", "ahoy")
	ask(p, "default", "")
	stop()
	s := w.Stats()
	fmt.Println("started", s.Started, "ok", s.OK, "failed", s.Failed, "running", s.Running)
	// Output: started 2 ok 1 failed 1 running 0
}
