//go:build unix

package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// plainEvery is how often progress is told where a line cannot be written over.
const plainEvery = 2 * time.Second

// A screen is where the demo is watched. It is safe for concurrent use.
type screen struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	dirty bool      // a progress line is on the terminal
	last  time.Time // of the last plain progress line
}

// line writes a line that stays.
func (s *screen) line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// progress says how far the load is.
func (s *screen) progress(l *load, c *cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal && time.Since(s.last) < plainEvery {
		return
	}
	s.last = time.Now()
	done := l.progress()
	text := fmt.Sprintf("%d of %d requests answered (%d%%)", done, l.total, 100*done/l.total)
	if !s.terminal {
		fmt.Fprintln(s.out, text)
		return
	}
	const width = 30
	full := width * done / l.total
	fmt.Fprintf(s.out, "\r\x1b[K[%s%s] %s", strings.Repeat("#", full), strings.Repeat(".", width-full), text)
	s.dirty = true
}

// clear takes the progress line away.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
}

func (s *screen) wipe() {
	if s.dirty {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.dirty = false
	}
}

// report writes the table and the last line. The error says what went wrong.
func (s *screen) report(c *cluster, l *load, faults []*fault) error {
	r := c.runs.read()
	var longest time.Duration
	missed := ""
	for _, f := range faults {
		d, ok := f.recovery(r, l)
		if !ok {
			missed = f.verb
		}
		longest = max(longest, d)
	}
	s.table(c, l, r)
	for _, f := range l.faults {
		fmt.Fprintln(s.out, f)
	}
	fmt.Fprintf(s.out, "demo: requests=%d ok=%d lost=%d wrong=%d repeated=%d recovery_ms=%d\n",
		l.total, l.ok, l.lost, l.wrong, r.repeated(), longest.Milliseconds())
	switch {
	case l.lost > 0 || l.wrong > 0:
		return fmt.Errorf("%d requests lost, %d answered wrongly", l.lost, l.wrong)
	case missed != "":
		return fmt.Errorf("no worker was %s while it held a request; play it again, with more --requests", missed)
	}
	return nil
}

func (s *screen) table(c *cluster, l *load, r runs) {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nworker\tprocess\truns\twhat became of it\n")
	for _, m := range c.workers {
		fate := "worked to the end"
		if f := m.fault; f != nil {
			fate = fmt.Sprintf("%s while it held %s", f.verb, plural(len(f.held), "request"))
			if d, ok := f.recovery(r, l); ok {
				fate += fmt.Sprintf("; answered by others within %d ms", d.Milliseconds())
			}
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\n", m.number, m.pid(), r.count(m.pid()), fate)
	}
	_ = w.Flush() // to a terminal: nothing to do about it
	fmt.Fprintf(s.out, "\neach reply compared with a digest computed here; time of a request: half within %d ms, 99%% within %d ms\n",
		l.quantile(0.5).Milliseconds(), l.quantile(0.99).Milliseconds())
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
