package bench

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Result is what was measured. Latencies are of the requests that were
// answered OK; what was not is counted.
type Result struct {
	Service  string
	Size     int // bytes of a body
	Clients  int
	Window   int // of a closed loop, for each client
	Rate     int // of an open loop; 0 is a closed loop
	Warmup   time.Duration
	Measured time.Duration
	Stopped  bool // before its time

	Requests   int64 // due within the measured time
	OK         int64
	Unfinished int64            // of these, no outcome when it was stopped
	Errors     map[string]int64 // of these, by code
	Throughput float64          // OK a second, within the measured time
	LateMax    time.Duration    // longest that a request was sent after it was due

	Mean, P50, P90, P99, P999, P9999, Max time.Duration
}

// Failed is how many requests had another outcome than OK.
func (r *Result) Failed() (n int64) {
	for _, c := range r.Errors {
		n += c
	}
	return n
}

func (r *Result) mode() string {
	if r.Rate > 0 {
		return "open"
	}
	return "closed"
}

// codes are the errors as CODE=count, with sep between them.
func (r *Result) codes(sep string) string {
	var list []string
	for _, code := range slices.Sorted(maps.Keys(r.Errors)) {
		list = append(list, fmt.Sprintf("%s=%d", code, r.Errors[code]))
	}
	return strings.Join(list, sep)
}

// WriteText writes a few lines for a human.
func (r *Result) WriteText(w io.Writer) error {
	var b strings.Builder
	how := fmt.Sprintf("closed loop, window %d", r.Window)
	if r.Rate > 0 {
		how = fmt.Sprintf("open loop, %d/s", r.Rate)
	}
	stopped := ""
	if r.Stopped {
		stopped = ", stopped early"
	}
	fmt.Fprintf(&b, "bench: %s, clients %d, service %q, %d bytes, %.1f s after %.1f s of warm-up%s\n",
		how, r.Clients, r.Service, r.Size, r.Measured.Seconds(), r.Warmup.Seconds(), stopped)
	fmt.Fprintf(&b, "requests=%d ok=%d errors=%d unfinished=%d throughput_per_s=%.1f late_max_ms=%.3f\n",
		r.Requests, r.OK, r.Failed(), r.Unfinished, r.Throughput, ms(r.LateMax))
	fmt.Fprintf(&b, "latency_ms mean=%.3f p50=%.3f p90=%.3f p99=%.3f p99.9=%.3f p99.99=%.3f max=%.3f\n",
		ms(r.Mean), ms(r.P50), ms(r.P90), ms(r.P99), ms(r.P999), ms(r.P9999), ms(r.Max))
	if len(r.Errors) > 0 {
		fmt.Fprintf(&b, "errors %s\n", r.codes(" "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// A column is a value by its name in CSV and JSON.
type column struct {
	name  string
	value any
}

func (r *Result) columns() []column {
	return []column{
		{"mode", r.mode()}, {"service", r.Service}, {"size", r.Size}, {"clients", r.Clients},
		{"window", r.Window}, {"rate", r.Rate},
		{"warmup_s", r.Warmup.Seconds()}, {"measured_s", r.Measured.Seconds()}, {"stopped", r.Stopped},
		{"requests", r.Requests}, {"ok", r.OK}, {"errors", r.Failed()}, {"unfinished", r.Unfinished},
		{"throughput_per_s", r.Throughput}, {"late_max_ms", ms(r.LateMax)},
		{"mean_ms", ms(r.Mean)}, {"p50_ms", ms(r.P50)}, {"p90_ms", ms(r.P90)}, {"p99_ms", ms(r.P99)},
		{"p99_9_ms", ms(r.P999)}, {"p99_99_ms", ms(r.P9999)}, {"max_ms", ms(r.Max)},
	}
}

// WriteJSON writes one object, on a line.
func (r *Result) WriteJSON(w io.Writer) error {
	object := make(map[string]any)
	for _, c := range r.columns() {
		object[c.name] = c.value
	}
	object["errors_by_code"] = r.Errors
	return json.NewEncoder(w).Encode(object)
}

// WriteCSV writes a line of names and a line of values.
func (r *Result) WriteCSV(w io.Writer) error {
	var names, values []string
	for _, c := range r.columns() {
		names = append(names, c.name)
		if f, ok := c.value.(float64); ok {
			values = append(values, strconv.FormatFloat(f, 'f', 3, 64))
		} else {
			values = append(values, fmt.Sprint(c.value))
		}
	}
	out := csv.NewWriter(w)
	return out.WriteAll([][]string{append(names, "errors_by_code"), append(values, r.codes(";"))})
}

// WriteText writes the second as one line.
func (s Second) WriteText(w io.Writer) error {
	warmup := ""
	if s.Warmup {
		warmup = " warm-up"
	}
	_, err := fmt.Fprintf(w, "bench: %3.0f s%s ok=%d errors=%d p50_ms=%.3f p99_ms=%.3f in_flight=%d\n",
		s.Elapsed.Seconds(), warmup, s.OK, s.Errors, ms(s.P50), ms(s.P99), s.InAir)
	return err
}

// ms is d in milliseconds, to the microsecond.
func ms(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
