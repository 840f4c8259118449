package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A block is a part of a document that this program writes: what stands between
// <!-- bench NAME --> and <!-- end -->.
type block struct {
	of      string // its scenarios: a name, or what the names begin with
	columns []column
	spread  bool // least and most beside each median
	names   bool // of the scenarios
	goals   bool
}

var blocks = map[string]block{
	"go": {of: "go", spread: true, names: true, goals: true, columns: []column{
		{"requests/s", throughput, false}, {"ratio", throughput, true}, {"p50 µs", p50, false}, {"ratio", p50, true}, {"p99 µs", p99, false},
		{"CPU µs: broker", cpu, false}, {"clients", clientCPU, false}, {"workers", workerCPU, false}, {"in all", sumCPU, false}, {"ratio", sumCPU, true}}},
	"go, short": {of: "go", columns: []column{
		{"requests/s", throughput, false}, {"ratio", throughput, true}, {"p50 µs", p50, false}, {"p99 µs", p99, false},
		{"CPU µs: broker", cpu, false}, {"clients", clientCPU, false}, {"workers", workerCPU, false}, {"in all", sumCPU, false}, {"ratio", sumCPU, true}}},
	"brokers":  {of: "brokers", names: true, columns: brokerColumns},
	"c":        {of: "c", names: true, goals: true, columns: brokerColumns},
	"c, short": {of: "c-4x16", columns: brokerColumns[:6]},
	"lib":      {of: "lib", names: true, goals: true, columns: brokerColumns},
}

var brokerColumns = []column{
	{"broker CPU µs", cpu, false}, {"ratio", cpu, true}, {"requests/s", throughput, false}, {"ratio", throughput, true},
	{"p50 µs", p50, false}, {"p99 µs", p99, false}, {"p99.9 µs", p999, false}, {"RSS MiB", peakRSS, false},
}

var blockMark = regexp.MustCompile(`(?s)(<!-- bench ([^>]+) -->\n).*?(<!-- end -->)`)

// writeDocuments writes the tables of what was measured into the documents under
// root. A block stays as it is unless all of its scenarios were measured.
func writeDocuments(root string, results []result) error {
	written := 0
	for _, name := range []string{"README.md", "docs/performance.md"} {
		file := filepath.Join(root, name)
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		out, n, err := fill(string(text), results)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if written += n; n == 0 {
			continue
		}
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil { //nolint:gosec // for everybody to read
			return err
		}
	}
	if written == 0 {
		return errors.New("no document has a block whose scenarios were all measured")
	}
	return nil
}

// fill returns text with its blocks written anew, and how many were.
func fill(text string, results []result) (out string, n int, err error) {
	out = blockMark.ReplaceAllStringFunc(text, func(old string) string {
		m := blockMark.FindStringSubmatch(old)
		b, ok := blocks[m[2]]
		if !ok {
			err = fmt.Errorf("there is no block %q", m[2])
			return old
		}
		of, whole := b.results(results)
		if !whole {
			return old
		}
		n++
		return m[1] + b.text(of) + m[3]
	})
	return out, n, err
}

// results are those of the block's scenarios, in their order; whole tells
// whether none is missing.
func (b *block) results(all []result) (of []*result, whole bool) {
	list, err := chosen(b.of)
	if err != nil {
		return nil, false
	}
	for _, s := range list {
		for i := range all {
			if all[i].Scenario == s.name && len(all[i].measured()) > 0 {
				of = append(of, &all[i])
			}
		}
	}
	return of, len(of) == len(list)
}

// text is what stands in the block.
func (b *block) text(of []*result) string {
	var out strings.Builder
	row := func(cells ...string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	head := []string{"load", "broker"}
	if b.names {
		head = append([]string{"scenario"}, head...)
	}
	for i := range b.columns {
		head = append(head, b.columns[i].head)
	}
	row(head...)
	row(strings.Split(strings.Repeat("---,", len(head)-1)+"---", ",")...)
	for _, r := range of {
		s := scenarioNamed(r.Scenario)
		for _, name := range r.measured() {
			cells := []string{s.bodies() + s.load(), label(name)}
			if b.names {
				cells = append([]string{s.name}, cells...)
			}
			for i := range b.columns {
				cells = append(cells, b.cell(&b.columns[i], r, name))
			}
			row(cells...)
		}
	}
	out.WriteString("\n" + measuredHow(of) + "\n")
	if !b.goals {
		return out.String()
	}
	out.WriteString("\n")
	row("scenario", "goal", "measured", "bound", "")
	row("---", "---", "---", "---", "---")
	for _, r := range of {
		for i := range r.Verdicts {
			v := &r.Verdicts[i]
			row(r.Scenario, v.Goal, fmt.Sprintf("%.2f", v.Is), fmt.Sprintf("%s %.2f", v.sign(), v.Bound), strings.Replace(v.word(), "NOT met", "**not met**", 1))
		}
	}
	return out.String()
}

func (b *block) cell(c *column, r *result, name string) string {
	x := c.in(r, name)
	text := c.figure(x.Median)
	if b.spread && len(r.Runs[name]) > 1 && c.figure(x.Min) != c.figure(x.Max) {
		text += " (" + c.figure(x.Min) + "–" + c.figure(x.Max) + ")"
	}
	return text
}

// label is the name of a broker in a document.
func label(name string) string {
	if peers[name].ours() {
		return "**" + name + "**"
	}
	return name
}

// bodies tells how large bodies are, where they have not the usual 64 bytes.
func (s *scenario) bodies() string {
	switch {
	case s.body >= 1<<20:
		return fmt.Sprintf("%d MiB, ", s.body>>20)
	case s.body >= 1<<10:
		return fmt.Sprintf("%d KiB, ", s.body>>10)
	}
	return ""
}

// measuredHow tells when and on what.
func measuredHow(of []*result) string {
	from, to := of[0].At, of[0].At
	rounds := 0
	for _, r := range of {
		if r.At.Before(from) {
			from = r.At
		}
		if r.At.After(to) {
			to = r.At
		}
		for _, runs := range r.Runs {
			rounds = max(rounds, len(runs))
		}
	}
	when := from.Format(time.DateOnly)
	if day := to.Format(time.DateOnly); day != when {
		when += " to " + day
	}
	return fmt.Sprintf("Measured on %s in %d rounds (%s). In the measured times other programs and machines had %s of the processors.",
		when, rounds, of[0].Machine, share(others(of...)))
}
