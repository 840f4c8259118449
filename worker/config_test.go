package worker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/worker"
)

func TestConfigSaysWhatIsWrong(t *testing.T) {
	many := make([]string, 257)
	for i := range many {
		many[i] = fmt.Sprint("s", i)
	}
	long := make([]string, 256)
	for i := range long {
		long[i] = fmt.Sprint(i, strings.Repeat("x", 240))
	}
	tests := []struct {
		cfg  worker.Config
		want string
	}{
		{worker.Config{Concurrency: -1}, "Config.Concurrency: -1; want 1 to 4096"},
		{worker.Config{Concurrency: 4097}, "Config.Concurrency: 4097; want 1 to 4096"},
		{worker.Config{TaskTimeout: -1}, "Config.TaskTimeout: -1ns; want 0"},
		{worker.Config{ReconnectMax: time.Millisecond}, "Config.ReconnectMax: 1ms; want 10ms to 1h"},
		{worker.Config{DrainTimeout: -time.Second}, "Config.DrainTimeout: -1s; want 0"},
		{worker.Config{RetainBytes: -1}, "Config.RetainBytes: -1; want 1 to"},
		{worker.Config{Brokers: []string{"localhost:5556"}}, `Config.Brokers: "localhost:5556"; want tcp://host:port`},
		{worker.Config{Brokers: []string{"mem://a", "mem://a"}}, `Config.Brokers: "mem://a" is named twice`},
		{worker.Config{Services: []string{"a\n"}}, "control character"},
		{worker.Config{Label: "two\nlines"}, `Config.Label: "two\nlines" has a control character`},
		{worker.Config{Version: strings.Repeat("v", 256)}, "is longer than 255 bytes"},
		{worker.Config{Services: []string{""}}, "Config.Services: \"\": service name is empty"},
		{worker.Config{Services: []string{"a", "a"}}, `Config.Services: "a" is named twice`},
		{worker.Config{Services: many}, "Config.Services: 257 names; at most 256"},
		{worker.Config{Services: long}, "bytes together; at most 49152"},
		{worker.Config{Brokers: make([]string, 65)}, "Config.Brokers: 65 endpoints; at most 64"},
	}
	for _, tt := range tests {
		_, err := worker.New(tt.cfg, worker.HandlerFunc(echo))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	if _, err := worker.New(worker.Config{}, nil); err == nil {
		t.Error("a worker without a handler")
	}
	if _, err := worker.New(worker.Config{}, worker.HandlerFunc(echo)); err != nil {
		t.Errorf("the zero Config: %v", err)
	}
}

func TestEndpointsThatCannotGoTogether(t *testing.T) {
	w, err := worker.New(worker.Config{Brokers: []string{"mem://a", "tcp://127.0.0.1:1"}}, worker.HandlerFunc(echo))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "mem://") {
		t.Errorf("Run returned %v", err)
	}
	if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "called before") {
		t.Errorf("the second Run returned %v", err)
	}
}
