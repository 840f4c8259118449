package client

import (
	"context"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link/linktest"
)

// A proxy without a backend accepts a client's connections and closes them at once:
// it is asked less and less often, also when a client asks over a fresh socket.
func TestIdleBroker(t *testing.T) {
	test := func(t *testing.T, made func(Config) (doer, error)) {
		t.Parallel()
		d := linktest.NewIdle(t)
		do, err := made(Config{Brokers: []string{d.Endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		defer do.Close()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ended := make(chan bool)
		go func() {
			defer close(ended)
			_, _ = do.Do(ctx, Request{Service: "s", Deadline: time.Minute})
		}()
		d.Accept(0, 8, reconnectMin, reconnectMax)
		cancel()
		<-ended
	}
	t.Run("REQ", func(t *testing.T) { test(t, func(c Config) (doer, error) { return New(c) }) })
	t.Run("DEALER", func(t *testing.T) { test(t, func(c Config) (doer, error) { return NewPipeline(c) }) })
}
