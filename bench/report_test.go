package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// measuredOnce is what three rounds of one scenario could have given.
func measuredOnce(name string) result {
	s := scenarioNamed(name)
	r := result{Scenario: name, At: time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC), Machine: "2 cores", Measured: time.Second, Peers: s.peers, Runs: map[string][]run{}}
	for i, peer := range s.peers {
		k := float64(i + 1)
		r.Runs[peer] = []run{
			{CPU: 10 * k, ClientCPU: 5, WorkerCPU: 5, Throughput: 1000 / k, load: load{P50: 100 * k}, Others: .2},
			{CPU: 24 * k, ClientCPU: 5, WorkerCPU: 5, Throughput: 500 / k, load: load{P50: 100 * k}, Others: .1},
			{CPU: 10 * k, ClientCPU: 5, WorkerCPU: 5, Throughput: 1900 / k, load: load{P50: 100 * k}, Others: .4},
		}
	}
	if s.goal != nil {
		r.Verdicts = s.goal(&r)
	}
	return r
}

func TestSpread(t *testing.T) {
	r := result{Runs: map[string][]run{
		"a": {{CPU: 15}, {CPU: 24}, {CPU: 13}},
		"b": {{CPU: 10}, {CPU: 20}, {CPU: 10}, {CPU: 1}},
	}}
	got := r.ratios("a", "b", cpu)
	for i, d := range []float64{got.Min - 1.2, got.Median - 1.3, got.Max - 1.5, r.ratio("a", "b", cpu) - 1.3} {
		if math.Abs(d) > 1e-9 {
			t.Errorf("%d: ratios %+v, want 1.2, 1.3 and 1.5: each of one round", i, got)
		}
	}
	if got, want := r.of("b", cpu), (spread{1, 10, 20}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := spreadOf([]float64{4, 1}), (spread{1, 2.5, 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What is printed and drawn, also from a file.
func TestReport(t *testing.T) {
	r := measuredOnce("brokers")
	r.Skipped = map[string]string{"RabbitMQ": "not here"}
	delete(r.Runs, "RabbitMQ")
	r.Verdicts = []verdict{atMost("most", 2, 1), atLeast("least", 2, 1)}
	var text bytes.Buffer
	r.print(&text, scenarioNamed("brokers"))
	lines := strings.Join(strings.Fields(text.String()), " ")
	for _, want := range []string{
		"brokers, clients and workers in Go: clients × requests → workers × credit 64×1 → 8×8, 64-byte bodies, 3 rounds of 1s",
		"other programs and machines had 20 % (10 to 40) of the processors",
		"privateer, all Go 20.0 2.00 5.00 5.00 30.0 1.50 500 0.50",
		"least 20.0 2.00 5.00 5.00 30.0 1.50 250 0.50",
		"most 48.0 2.00 5.00 5.00 58.0 1.71 950 0.50",
		"goal: most: 2.00 ≤ 1.00: NOT met", "goal: least: 2.00 ≥ 1.00: met", "RabbitMQ was not measured: not here",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	dir := t.TempDir()
	bars := func(file string) string {
		svg, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(svg)
	}
	if err := draw(filepath.Join(dir, "plot.svg"), []result{r}); err != nil {
		t.Fatal(err)
	}
	if svg := bars("plot.svg"); !strings.Contains(svg, "brokers: privateer, all Go") || strings.Contains(svg, "RabbitMQ") {
		t.Error("the bars are not those of what was measured")
	}
	saved, err := json.Marshal([]result{r})
	if err != nil {
		t.Fatal(err)
	}
	var read []result
	if err := json.Unmarshal(saved, &read); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	read[0].print(&again, scenarioNamed("brokers"))
	if again.String() != text.String() || !read[0].At.Equal(r.At) || read[0].Machine != r.Machine {
		t.Errorf("read from JSON it is\n%s", again.String())
	}
	from := filepath.Join(dir, "bench.json")
	if err := os.WriteFile(from, saved, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := command([]string{"-from", from, "-plot", filepath.Join(dir, "again.svg")}); err != nil {
		t.Fatal(err)
	}
	if bars("again.svg") != bars("plot.svg") {
		t.Error("drawn from a file it is another picture")
	}
	if err := os.WriteFile(from, bytes.ReplaceAll(saved, []byte("brokers"), []byte("nothing")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := command([]string{"-from", from}); err == nil || !strings.Contains(err.Error(), `no scenario "nothing"`) {
		t.Errorf("a file of another version: %v", err)
	}
	if err := draw(filepath.Join(dir, "none.svg"), []result{measuredOnce("c-4x16")}); err == nil || !strings.Contains(err.Error(), "nothing to draw") {
		t.Errorf("a picture of nothing: %v", err)
	}
}

// Three bars for each broker, one after the other: broker, clients, workers.
func TestBars(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plot.svg")
	if err := draw(file, []result{measuredOnce("go-4x16")}); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, fills := range map[string][]string{"ours": {"#145AA0", "#4E83B7", "#89ACCF"}, "NATS": {"#6E6E6E", "#929292", "#B6B6B6"}} {
		end := ""
		for _, fill := range fills {
			bar := regexp.MustCompile(`d="M([0-9.]+),\S+L([0-9.]+),[0-9.]+L\S+Z" style="fill:`+fill).FindAllSubmatch(svg, -1)
			if len(bar) != 1 {
				t.Fatalf("%s: %d bars of %s", name, len(bar), fill)
			}
			if from := string(bar[0][1]); end != "" && from != end {
				t.Errorf("%s: the bar of %s begins at %s, the one before ends at %s", name, fill, from, end)
			}
			end = string(bar[0][2])
		}
	}
}
