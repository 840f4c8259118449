package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// A spread is what several rounds gave.
type spread struct{ Min, Median, Max float64 }

func spreadOf(all []float64) spread {
	n := len(all)
	if n == 0 {
		return spread{}
	}
	all = slices.Sorted(slices.Values(all))
	return spread{all[0], (all[(n-1)/2] + all[n/2]) / 2, all[n-1]}
}

// of is what f reads of the runs of one broker.
func (r *result) of(name string, f func(*run) float64) spread {
	all := make([]float64, len(r.Runs[name]))
	for i := range all {
		all[i] = f(&r.Runs[name][i])
	}
	return spreadOf(all)
}

// ratios are those round by round, so that a change in the machine's speed
// between rounds does not count.
func (r *result) ratios(a, b string, f func(*run) float64) spread {
	all := make([]float64, min(len(r.Runs[a]), len(r.Runs[b])))
	for i := range all {
		all[i] = f(&r.Runs[a][i]) / f(&r.Runs[b][i])
	}
	return spreadOf(all)
}

// ratio is the median of the ratios.
func (r *result) ratio(a, b string, f func(*run) float64) float64 { return r.ratios(a, b, f).Median }

func cpu(r *run) float64        { return r.CPU }
func clientCPU(r *run) float64  { return r.ClientCPU }
func workerCPU(r *run) float64  { return r.WorkerCPU }
func sumCPU(r *run) float64     { return r.CPU + r.ClientCPU + r.WorkerCPU }
func throughput(r *run) float64 { return r.Throughput }
func p50(r *run) float64        { return r.P50 }
func p99(r *run) float64        { return r.P99 }
func p999(r *run) float64       { return r.P999 }
func peakRSS(r *run) float64    { return r.PeakRSS }

// A column is one number of a run, or its ratio to that of the first broker in
// the same round.
type column struct {
	head  string
	of    func(*run) float64
	ratio bool
}

// columns are those of the printed tables.
var columns = []column{
	{"broker µs", cpu, false}, {"ratio", cpu, true},
	{"clients µs", clientCPU, false}, {"workers µs", workerCPU, false}, {"all µs", sumCPU, false}, {"ratio", sumCPU, true},
	{"requests/s", throughput, false}, {"ratio", throughput, true},
	{"p50 µs", p50, false}, {"ratio", p50, true}, {"p99 µs", p99, false}, {"p99.9 µs", p999, false}, {"RSS MiB", peakRSS, false},
}

// in is the column's value for one broker.
func (c *column) in(r *result, name string) spread {
	if c.ratio {
		return r.ratios(name, r.Peers[0], c.of)
	}
	return r.of(name, c.of)
}

// figure is a value of the column as one reads it.
func (c *column) figure(v float64) string {
	switch {
	case c.ratio:
		return fmt.Sprintf("%.2f", v)
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	text := fmt.Sprintf("%.0f", v)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// print writes the table of one scenario: of each broker the medians, and where
// there were several rounds the least and the most.
func (r *result) print(to io.Writer, s *scenario) {
	rounds := len(r.Runs[s.peers[0]])
	fmt.Fprintf(to, "\n%s, %s: clients × requests → workers × credit %s, %d-byte bodies, %d rounds of %v\n", s.name, s.sides(), s.load(), s.body, rounds, r.Measured)
	fmt.Fprintf(to, "other programs and machines had %s of the processors\n", share(others(r)))
	t := tabwriter.NewWriter(to, 0, 8, 2, ' ', tabwriter.AlignRight)
	line := func(name string, cell func(c *column) string) {
		cells := []string{name}
		for i := range columns {
			cells = append(cells, cell(&columns[i]))
		}
		fmt.Fprintln(t, strings.Join(cells, "\t")+"\t")
	}
	line("broker", func(c *column) string { return c.head })
	for _, name := range r.measured() {
		line(name, func(c *column) string { return c.figure(c.in(r, name).Median) })
		if rounds > 1 {
			line("least", func(c *column) string { return c.figure(c.in(r, name).Min) })
			line("most", func(c *column) string { return c.figure(c.in(r, name).Max) })
		}
	}
	_ = t.Flush()
	for _, name := range r.Peers {
		if why, ok := r.Skipped[name]; ok {
			fmt.Fprintf(to, "%s was not measured: %s\n", name, why)
		}
	}
	for _, v := range r.Verdicts {
		fmt.Fprintf(to, "goal: %s: %.2f %s %.2f: %s\n", v.Goal, v.Is, v.sign(), v.Bound, v.word())
	}
}

// measured are the brokers that were.
func (r *result) measured() (all []string) {
	for _, name := range r.Peers {
		if len(r.Runs[name]) > 0 {
			all = append(all, name)
		}
	}
	return all
}

// others is the share of the machine that others had in the runs.
func others(of ...*result) spread {
	var all []float64
	for _, r := range of {
		for _, runs := range r.Runs {
			for i := range runs {
				all = append(all, runs[i].Others)
			}
		}
	}
	return spreadOf(all)
}

func share(s spread) string {
	return fmt.Sprintf("%.0f %% (%.0f to %.0f)", 100*s.Median, 100*s.Min, 100*s.Max)
}

func (v *verdict) sign() string {
	if v.Most {
		return "≤"
	}
	return "≥"
}

func (v *verdict) word() string {
	if v.Passed {
		return "met"
	}
	return "NOT met"
}
