package simtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/privateer-mq/privateer/worker"
)

// Should a promise of Privateer be broken, the handler is not blamed.
func TestBlame(t *testing.T) {
	resets := 0
	cfg := Config{
		Handler: worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) { return nil, nil }),
		Check:   func([]Outcome) error { return nil }, Reset: func() { resets++ },
	}
	asks, err := cfg.asks()
	if err != nil {
		t.Fatal(err)
	}
	p := &player{cfg: &cfg, asks: asks}
	r := p.simulate(1, false)
	if r.Err != nil {
		t.Fatal(p.blame(&r))
	}
	r.Err = errors.New("at 1s: G1: a second outcome")
	text := p.blame(&r)
	if !strings.HasPrefix(text, "Privateer itself has broken a promise.") || !strings.Contains(text, "\nat 1s: G1: a second outcome\n") ||
		strings.Count(text, "\n") < 45 || strings.Contains(text, "another way") || resets != 2 {
		t.Errorf("%d resets, and:\n%s", resets, text)
	}
	if r.Hash++; !strings.Contains(p.blame(&r), "another way") {
		t.Error("the seed went another way, and nobody says so")
	}
}
