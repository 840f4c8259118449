package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The children of a test are this test's own binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "child" {
		if err := command(os.Args[1:]); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Each broker that needs nothing installed carries its load: every request is
// answered OK, and what is told of it is there. No time is looked at.
func TestEveryBroker(t *testing.T) {
	binary = filepath.Join(t.TempDir(), "privateer")
	build := exec.Command("go", "build", "-o", binary, "./cmd/privateer")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, p := range peers {
		if p.missing != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := scenario{name: "test", peers: []string{name}, clients: 2, window: 4, workers: 3, credit: 2, body: 100, measured: 100 * time.Millisecond}
			if p.req || p.clients == "go-do" {
				s.clients, s.window = 1, 1
			}
			s.alike = slices.Contains(bothGo, name) // measure refuses another number of connections
			r, err := s.measure(name)
			if err != nil {
				t.Fatal(err)
			}
			if r.Done == 0 || r.Failed > 0 || r.Lost > 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Throughput <= 0 || r.PeakRSS <= 0 {
				t.Fatalf("%+v", r)
			}
			if want := s.clients + s.workers; s.alike && r.Connections != want {
				t.Fatalf("%d connections of %d clients and workers", r.Connections, want)
			}
		})
	}
}

// Every scenario names brokers that there are.
func TestScenarios(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios {
		if seen[s.name] || len(s.peers) == 0 || s.body < 8 || s.sides() == "" {
			t.Errorf("scenario %q", s.name)
		}
		seen[s.name] = true
		for _, name := range s.peers {
			if peers[name] == nil || peers[name].name != name {
				t.Errorf("scenario %q: no broker %q", s.name, name)
				continue
			}
			if inC := peers[name].clients == "" && peers[name].workers == ""; inC != strings.HasPrefix(s.name, "c-") && !strings.HasPrefix(s.name, "lib-") {
				t.Errorf("scenario %q (%s) has %q, whose clients and workers are something else", s.name, s.sides(), name)
			}
		}
		for name := range s.beside {
			if peers[name] == nil {
				t.Errorf("scenario %q: no broker %q", s.name, name)
			}
		}
	}
}

// A word of -only is a name, or what several names begin with.
func TestOnly(t *testing.T) {
	for words, want := range map[string]string{
		"go":               "go-4x16 go-64x1 go-1x1 go-1x64 go-1k",
		"lib-do,c-guide":   "c-guide-4x16 c-guide-64x1 lib-do",
		"go-1x64,go,go-1k": "go-4x16 go-64x1 go-1x1 go-1x64 go-1k",
	} {
		all, err := chosen(words)
		var names []string
		for _, s := range all {
			names = append(names, s.name)
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", words, got, err, want)
		}
	}
	if _, err := chosen("go,go-4"); err == nil || !strings.Contains(err.Error(), `"go-4"`) {
		t.Errorf("half a name: %v", err)
	}
}

func TestUnknown(t *testing.T) {
	for args, want := range map[string]string{"child,nobody,{}": "no child is called nobody", "-privateer,/nowhere/privateer": "run make build first"} {
		if err := command(strings.Split(args, ",")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}
