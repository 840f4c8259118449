package worker_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/worker"
)

// A proxy without a backend accepts a worker's connections and closes them at once:
// it is asked less and less often, also when the worker opens a fresh socket.
func TestIdleBroker(t *testing.T) {
	d := linktest.NewIdle(t)
	var log bytes.Buffer
	w := start(t, worker.Config{Brokers: []string{d.Endpoint}, ReconnectMax: 800 * time.Millisecond, Logger: zerolog.New(&log)}, worker.HandlerFunc(echo))
	d.Accept(0, 16, 10*time.Millisecond, 800*time.Millisecond) // two sockets and more
	if err := w.end(); err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, `"trouble":"`+strings.TrimPrefix(d.Endpoint, "tcp://")) || !strings.Contains(text, "clos") && !strings.Contains(text, "reset") {
		t.Errorf("nothing says what the trouble is: %s", text)
	}
}
