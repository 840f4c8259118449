package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/privateer-mq/privateer/internal/sim"
)

// TestLong plays seven seeds in two calls; together they are what one call plays.
func TestLong(t *testing.T) {
	const base = 11
	path := filepath.Join(t.TempDir(), "long.json")
	play := func(seeds int, base uint64) (*long, string) {
		var out strings.Builder
		l := &long{path: path, seeds: seeds, chunk: 2, lines: 5, stop: 20, out: &out}
		if ok, err := l.run(base); err != nil || !ok {
			t.Fatalf("%t, %v: %s", ok, err, out.String())
		}
		return l, out.String()
	}
	if _, out := play(3, base); !strings.Contains(out, "sim: 3 seeds from 11") || !strings.Contains(out, "sim: seeds=3 violations=0 ") {
		t.Errorf("the first call: %s", out)
	}
	l, out := play(7, 99)
	if !strings.Contains(out, "going on after 3 of 7 seeds from 11") || !strings.Contains(out, "all 7 were played") {
		t.Errorf("the second call: %s", out)
	}
	if want := sim.RunBatch(base, 7, nil); l.state.Sum != want.Tally || l.state.Base != base {
		t.Errorf("from %d: %+v, want %+v", l.state.Base, l.state.Sum, want.Tally)
	}
	if _, out := play(7, 99); !strings.Contains(out, "all 7 were played") {
		t.Errorf("a third call: %s", out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), l.state.Program, "another", 1)
	if err := os.WriteFile(path, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	if l, out := play(1, 99); !strings.Contains(out, "beginning anew") || l.state.Base != 99 || l.state.Sum.Seeds != 1 {
		t.Errorf("after another program: %s", out)
	}
}
