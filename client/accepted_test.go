package client_test

import (
	"context"
	"fmt"

	"github.com/privateer-mq/privateer/brokertest"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// A name that nobody serves is told at once, with the one that it may have meant.
func ExampleHooks_accepted() {
	e := &example{} // in a test, its *testing.T
	defer e.end()
	b := brokertest.New(e)
	b.Worker("sum", worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) { return []byte("6"), nil }))
	b.WaitWorkers("sum", 1)

	told := make(chan client.Accepted, 100) // hooks must not block
	p := b.PipelineConfig(client.Config{Hooks: client.Hooks{Accepted: func(a client.Accepted) { told <- a }}})
	ctx, cancel := context.WithCancel(context.Background())
	call := p.Go(ctx, client.Request{Service: "summ", Body: []byte("1 2 3")})
	a := <-told
	fmt.Printf("%s has %d workers; %s is served\n", a.Service, a.Workers, a.Nearest)
	cancel()
	_, err := call.Reply()
	fmt.Println(client.NotStarted(err))
	// Output:
	// summ has 0 workers; sum is served
	// true
}
