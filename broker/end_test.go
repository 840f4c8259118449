package broker_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/broker"
)

// An atTheEnd calls a function when the broker logs that it has stopped.
type atTheEnd func()

func (f atTheEnd) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "broker stopped") {
		f()
	}
	return len(b), nil
}

// TestAskedAtTheEnd: once the loop has turned for the last time, who asks is refused at
// once, also while the broker is still closing.
func TestAskedAtTheEnd(t *testing.T) {
	var b *broker.Broker
	var failed error
	status := 0
	asked := make(chan struct{})
	ask := func() { // by the goroutine of Run: it can go on only when this is answered
		go func() {
			defer close(asked)
			_, failed = b.Stats()
			res, err := http.Get("http://" + b.AdminAddr() + "/api/v1/status")
			if err == nil {
				status = res.StatusCode
				res.Body.Close()
			}
		}()
		select {
		case <-asked:
		case <-time.After(30 * time.Second):
			t.Error("nobody answers, and nobody refuses")
		}
	}
	b, err := broker.New(broker.Config{Frontends: []string{"mem://end-front"}, Backends: []string{"mem://end-back"}, Admin: "127.0.0.1:0",
		Logger: zerolog.New(atTheEnd(ask))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	<-b.Ready()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-asked
	if !errors.Is(failed, broker.ErrNotRunning) || status != http.StatusServiceUnavailable {
		t.Errorf("Stats: %v; the admin listener: %d", failed, status)
	}
}
