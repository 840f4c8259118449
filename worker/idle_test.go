package worker_test

import (
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/worker"
)

// A proxy without a backend accepts a worker's connections and closes them at once:
// it is asked less and less often, also when the worker opens a fresh socket.
func TestIdleBroker(t *testing.T) {
	d := linktest.NewIdle(t)
	w := start(t, worker.Config{Brokers: []string{d.Endpoint}, ReconnectMax: 800 * time.Millisecond, Logger: logTo(t)}, worker.HandlerFunc(echo))
	d.Accept(0, 16, 10*time.Millisecond, 800*time.Millisecond) // two sockets and more
	if err := w.end(); err != nil {
		t.Error(err)
	}
}
