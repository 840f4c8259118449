package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// median of what f reads of runs.
func median(runs []run, f func(*run) float64) float64 {
	if len(runs) == 0 {
		return 0
	}
	all := make([]float64, len(runs))
	for i := range runs {
		all[i] = f(&runs[i])
	}
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

// ratio is the median of the ratios round by round, so that a change in the
// machine's speed between rounds does not count.
func (r *result) ratio(a, b string, f func(*run) float64) float64 {
	n := min(len(r.Runs[a]), len(r.Runs[b]))
	pairs := make([]run, n)
	for i := range n {
		pairs[i].CPU = f(&r.Runs[a][i]) / f(&r.Runs[b][i])
	}
	return median(pairs, cpu)
}

func cpu(r *run) float64        { return r.CPU }
func throughput(r *run) float64 { return r.Throughput }
func workerCPU(r *run) float64  { return r.WorkerCPU }
func p50(r *run) float64        { return r.P50 }
func p99(r *run) float64        { return r.P99 }

// print writes the table of one scenario. The ratios are to its first broker.
func (r *result) print(to io.Writer, s *scenario) {
	fmt.Fprintf(to, "\n%s: %d×%d clients, %d workers × %d, %d-byte bodies, %d rounds of %v\n", s.name, s.clients, s.window, s.workers, s.credit, s.body,
		len(r.Runs[s.peers[0]]), s.measured)
	t := tabwriter.NewWriter(to, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "broker\tµs/request\tratio\trequests/s\tratio\tp50 µs\tp99 µs\tp99.9 µs\tRSS MiB\tclients µs\tworkers µs\t")
	var later []string
	for _, name := range s.peers {
		runs := r.Runs[name]
		if why, ok := r.Skipped[name]; ok {
			later = append(later, name+" was not measured: "+why)
			continue
		}
		of := func(f func(*run) float64) float64 { return median(runs, f) }
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.0f\t%.2f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t\n", name,
			of(cpu), r.ratio(name, s.peers[0], cpu), of(throughput), r.ratio(name, s.peers[0], throughput), of(p50), of(p99),
			of(func(r *run) float64 { return r.P999 }), of(func(r *run) float64 { return r.PeakRSS }),
			of(func(r *run) float64 { return r.ClientCPU }), of(func(r *run) float64 { return r.WorkerCPU }))
	}
	_ = t.Flush()
	for _, line := range later {
		fmt.Fprintln(to, line)
	}
	for _, v := range r.Verdicts {
		word, sign := "met", "<="
		if !v.Most {
			sign = ">="
		}
		if !v.Passed {
			word = "NOT met"
		}
		fmt.Fprintf(to, "goal: %s: %.2f %s %.2f: %s\n", v.Goal, v.Is, sign, v.Bound, word)
	}
}
