package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// pipeline returns a Pipeline to a broker with these handlers.
func pipeline(name string, handlers map[string]worker.Handler) (p *client.Pipeline, stop func()) {
	front, stopServing := serve(name, handlers)
	p, err := client.NewPipeline(client.Config{Brokers: []string{front}})
	check(err)
	return p, func() { p.Close(); stopServing() }
}

// Go does not wait for the outcome; the Call does, in a select beside others.
func ExamplePipeline_Go() {
	p, stop := pipeline("go", upper)
	defer stop()

	call := p.Go(context.Background(), client.Request{Service: "upper", Body: []byte("ahoy")})
	select {
	case <-call.Done():
		reply, err := call.Reply()
		fmt.Println(string(reply.Body()), err)
	case <-context.Background().Done(): // whatever else there is to wait for
	}
	// Output: AHOY <nil>
}

// Do waits, as Client.Do does. Any number of goroutines may call it.
func ExamplePipeline_Do() {
	p, stop := pipeline("pipelinedo", upper)
	defer stop()

	reply, err := p.Do(context.Background(), client.Request{Service: "upper", Body: []byte("ahoy")})
	fmt.Println(string(reply.Body()), reply.Attempt, reply.Tries, err)
	// Output: AHOY 1 1 <nil>
}

func ExamplePipeline_Stats() {
	p, stop := pipeline("pipelinestats", countdown)
	defer stop()

	for _, err := range client.AskStream[int, int](context.Background(), p, "countdown", 5) {
		check(err)
	}
	s := p.Stats()
	fmt.Println("requests", s.Requests, "parts", s.Parts)
	// Output: requests 1 parts 5
}

// Who waits when the pipeline is closed learns of it, and of what is known of
// its request.
func ExamplePipeline_Close() {
	p, stop := pipeline("close", upper)
	defer stop()

	call := p.Go(context.Background(), client.Request{Service: "nobody"})
	check(p.Close())
	_, err := call.Reply()
	fmt.Println(errors.Is(err, client.ErrClosed))
	// Output: true
}

// The request's other fields.
func ExampleWithRequest() {
	p, stop := pipeline("withrequest", map[string]worker.Handler{"tenant": worker.Handle(
		func(ctx context.Context, _ int) (string, error) {
			headers := worker.RequestFrom(ctx).Headers
			i := slices.IndexFunc(headers, func(h worker.Header) bool { return h.Key == "tenant" })
			return headers[i].Value, nil
		})})
	defer stop()

	name, err := client.Ask[int, string](context.Background(), p, "tenant", 0, client.WithRequest(func(r *client.Request) {
		r.Headers = append(r.Headers, client.Header{Key: "tenant", Value: "blue"})
		r.AtMostOnce = true
	}))
	fmt.Println(name, err)
	// Output: blue <nil>
}

// plain is a Codec of strings, as they are.
type plain struct{}

func (plain) Marshal(v any) ([]byte, error)      { return fmt.Append(nil, v), nil }
func (plain) Unmarshal(data []byte, v any) error { *v.(*string) = string(data); return nil }
func (plain) ContentType() string                { return "text/plain" }

// Another codec than JSON: both ends name it.
func ExampleWithCodec() {
	p, stop := pipeline("withcodec", map[string]worker.Handler{"shout": worker.Handle(
		func(_ context.Context, s string) (string, error) { return s + "!", nil }, worker.WithCodec(plain{}))})
	defer stop()

	s, err := client.Ask[string, string](context.Background(), p, "shout", "ahoy", client.WithCodec(plain{}))
	fmt.Println(s, err)
	_, err = client.Ask[string, string](context.Background(), p, "shout", "ahoy") // JSON
	fmt.Println(err)
	// Output:
	// ahoy! <nil>
	// FAILED (ran): BAD_REQUEST: the body of the request: it is sent as "application/json", and text/plain is read here
}
