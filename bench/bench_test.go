package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
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
			r, err := s.measure(name)
			if err != nil {
				t.Fatal(err)
			}
			if r.Done == 0 || r.Failed > 0 || r.Lost > 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Throughput <= 0 || r.PeakRSS <= 0 {
				t.Fatalf("%+v", r)
			}
		})
	}
}

// What is written: the table, the runs, the picture.
func TestReport(t *testing.T) {
	r := result{Scenario: "test", Peers: []string{"zmq_proxy", "privateer", "RabbitMQ"}, Skipped: map[string]string{"RabbitMQ": "not here"},
		Runs: map[string][]run{
			"zmq_proxy": {{CPU: 10, Throughput: 100}, {CPU: 20, Throughput: 50}, {CPU: 10, Throughput: 90}},
			"privateer": {{CPU: 15, Throughput: 80}, {CPU: 24, Throughput: 45}, {CPU: 13, Throughput: 90}},
		}}
	if got := r.ratio("privateer", "zmq_proxy", cpu); math.Abs(got-1.3) > 1e-9 {
		t.Errorf("ratio %v, want the median of 1.5, 1.2 and 1.3", got)
	}
	if got := median(r.Runs["zmq_proxy"][:2], throughput); got != 75 {
		t.Errorf("median of two: %v", got)
	}
	r.Verdicts = []verdict{atMost("most", 2, 1), atLeast("least", 2, 1)}
	var text bytes.Buffer
	r.print(&text, &scenario{name: "test", peers: r.Peers, clients: 4, window: 16, workers: 8, credit: 8, body: 64, measured: time.Second})
	for _, want := range []string{"privateer       15.00   1.30          80   0.90", "goal: most: 2.00 <= 1.00: NOT met", "goal: least: 2.00 >= 1.00: met",
		"RabbitMQ was not measured: not here", "test: 4×16 clients, 8 workers × 8, 64-byte bodies, 3 rounds of 1s"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	file := filepath.Join(t.TempDir(), "plot.svg")
	if err := draw(file, []result{r}); err != nil {
		t.Fatal(err)
	}
	if svg, err := os.ReadFile(file); err != nil || !bytes.Contains(svg, []byte("test: privateer")) {
		t.Errorf("no bar of its own for the product: %v", err)
	}
	r.Scenario = "prv1"
	text2, err := json.Marshal([]result{r})
	if err != nil {
		t.Fatal(err)
	}
	from, again := filepath.Join(t.TempDir(), "bench.json"), filepath.Join(t.TempDir(), "again.svg")
	if err := os.WriteFile(from, text2, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := command([]string{"-from", from, "-plot", again}); err != nil {
		t.Fatal(err)
	}
	if svg, err := os.ReadFile(again); err != nil || !bytes.Contains(svg, []byte("prv1: privateer")) {
		t.Errorf("drawn from a file: %v", err)
	}
	r.Scenario = "nothing"
	if text2, err = json.Marshal([]result{r}); err == nil {
		err = os.WriteFile(from, text2, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := command([]string{"-from", from}); err == nil || !strings.Contains(err.Error(), `no scenario "nothing"`) {
		t.Errorf("a file of another version: %v", err)
	}
}

// Every scenario names brokers that there are.
func TestScenarios(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios {
		if seen[s.name] || len(s.peers) == 0 || s.body < 8 {
			t.Errorf("scenario %q", s.name)
		}
		seen[s.name] = true
		for _, name := range s.peers {
			if peers[name] == nil || peers[name].name != name {
				t.Errorf("scenario %q: no broker %q", s.name, name)
			}
		}
		for name := range s.beside {
			if peers[name] == nil {
				t.Errorf("scenario %q: no broker %q", s.name, name)
			}
		}
	}
}

func TestUnknown(t *testing.T) {
	for args, want := range map[string]string{"child,nobody,{}": "no child is called nobody", "-privateer,/nowhere/privateer": "run make build first"} {
		if err := command(strings.Split(args, ",")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}
