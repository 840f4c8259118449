package brokertest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/brokertest"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// What a broker has given up can be looked at: here a request whose one attempt
// was used up.
func ExampleBroker_Broker() {
	t := newExample() // in a test, its *testing.T
	defer t.end()

	b := brokertest.New(t, brokertest.WithConfig(broker.Config{MaxAttempts: 1}))
	w := b.Worker("shout", worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
		return nil, worker.Retry(errors.New("hoarse"))
	}))
	_, err := b.Client().Do(t.Context(), client.Request{Service: "shout", Body: []byte("hello")})
	fmt.Println(errors.Is(err, client.ErrFailed), w.Stats().Retried)

	dead, err := b.Broker().DeadLetters()
	fmt.Println(len(dead), string(dead[0].Frames[0]), err)
	// Output:
	// true 1
	// 1 hello <nil>
}

// A frozen broker reads nothing; what was sent to it meanwhile is done when it
// goes on.
func ExampleBroker_Freeze() {
	t := newExample() // in a test, its *testing.T
	defer t.end()

	b := brokertest.New(t)
	b.Worker("shout", worker.HandlerFunc(shout))
	b.WaitWorkers("shout", 1)
	p := b.PipelineConfig(client.Config{Retries: -1})
	b.Freeze()
	call := p.Go(t.Context(), client.Request{Service: "shout", Body: []byte("hello")})
	b.Thaw()
	reply, err := call.Reply()
	fmt.Println(string(reply.Body()), err, "tries", reply.Tries)
	// Output: hello! <nil> tries 1
}

// Nobody is there, and a request that never left is certain not to have run.
func ExampleBroker_Kill() {
	t := newExample() // in a test, its *testing.T
	defer t.end()

	b := brokertest.New(t)
	b.Kill()
	ctx, cancel := context.WithCancel(t.Context())
	call := b.Pipeline().Go(ctx, client.Request{Service: "shout"})
	cancel()
	_, err := call.Reply()
	fmt.Println(errors.Is(err, context.Canceled), client.NotStarted(err))

	b.Restart()
	b.Worker("shout", worker.HandlerFunc(shout))
	reply, err := b.Client().Do(t.Context(), client.Request{Service: "shout", Body: []byte("hello")})
	fmt.Println(string(reply.Body()), err)
	// Output:
	// true true
	// hello! <nil>
}
