package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"runtime"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// A broker within a program of yours. An endpoint mem://name is one within the
// process; a program's are tcp://host:port.
func ExampleNew() {
	b, err := broker.New(broker.Config{Frontends: []string{"mem://example-front"}, Backends: []string{"mem://example-back"}})
	check(err)
	ctx, cancel := context.WithCancel(context.Background()) // a program's is of signal.NotifyContext
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	<-b.Ready()
	fmt.Println(b.Addrs())

	c, err := client.New(client.Config{Brokers: []string{"mem://example-front"}})
	check(err)
	_, err = c.Do(ctx, client.Request{Service: "nobody", NoWait: true})
	fmt.Println(errors.Is(err, client.ErrNoService))
	check(c.Close())
	s, err := b.Stats()
	check(err)
	fmt.Println(s.Gauges.Workers, "workers")

	cancel()
	fmt.Println(<-done)

	_, err = broker.New(broker.Config{Heartbeat: time.Hour})
	fmt.Println(err)
	// Output:
	// mem://example-front mem://example-back
	// true
	// 0 workers
	// <nil>
	// broker: Config.Heartbeat is 1h0m0s; want 10ms to 60s
}

// A request that has lost as many workers as it may is put aside. It can be
// looked at, queued again under a new id, or dropped.
func ExampleBroker_DeadLetters() {
	b, err := broker.New(broker.Config{Frontends: []string{"mem://dead-front"}, Backends: []string{"mem://dead-back"}, MaxAttempts: 1})
	check(err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { check(b.Run(ctx)) }()
	<-b.Ready()
	w, err := worker.New(worker.Config{Brokers: []string{"mem://dead-back"}, Services: []string{"hopeless"}},
		worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
			return nil, worker.Retry(errors.New("no luck"))
		}))
	check(err)
	go func() { check(w.Run(ctx)) }()
	c, err := client.New(client.Config{Brokers: []string{"mem://dead-front"}})
	check(err)
	defer c.Close()
	_, err = c.Do(ctx, client.Request{Service: "hopeless", Body: []byte("try me")})
	fmt.Println(errors.Is(err, client.ErrFailed))

	dead, err := b.DeadLetters()
	check(err)
	for len(dead) == 0 { // it is put aside in the same turn, after the reply
		runtime.Gosched()
		dead, err = b.DeadLetters()
		check(err)
	}
	fmt.Println(len(dead), dead[0].Service, dead[0].Attempt)
	id, err := b.Requeue(dead[0].ID)
	fmt.Println(id != dead[0].ID, err)
	fmt.Println(b.Drop(dead[0].ID)) // it was queued again
	// Output:
	// true
	// 1 hopeless 1
	// true <nil>
	// broker: no dead letter with that id
}

// The admin listener serves metrics, an API and a page; Draining tells that the
// broker takes nothing new any more.
func ExampleBroker_Draining() {
	b, err := broker.New(broker.Config{Frontends: []string{"mem://drain-front"}, Backends: []string{"mem://drain-back"}, Admin: "127.0.0.1:0"})
	check(err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	<-b.Ready()
	answer, err := http.Get("http://" + b.AdminAddr() + "/readyz")
	check(err)
	answer.Body.Close()
	fmt.Println(answer.Status)

	cancel()
	<-b.Draining()
	fmt.Println(<-done)
	_, err = b.Stats()
	fmt.Println(errors.Is(err, broker.ErrNotRunning))
	// Output:
	// 200 OK
	// <nil>
	// true
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
