package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// A limit is a number that a check compares with. The zero limit was not given.
type limit struct {
	on, off bool
	n       float64 // limitTime: seconds
}

// A limitTime is a limit that is a time.
type limitTime limit

// UnmarshalText reads a whole number, or off.
func (l *limit) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*l = limit{off: true}
		return nil
	}
	n, err := parseCount(string(text))
	if err != nil {
		return fmt.Errorf("%w; or give off", err)
	}
	*l = limit{on: true, n: float64(n)}
	return nil
}

// UnmarshalText reads a time like 2.5s, or off.
func (l *limitTime) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*l = limitTime{off: true}
		return nil
	}
	d, err := parseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%w, or off", err)
	}
	*l = limitTime{on: true, n: d.Seconds()}
	return nil
}

// A percent is a limit that is a share, 0 to 100.
type percent limit

// UnmarshalText reads a number like 5, 0.5 or 5%, or off.
func (p *percent) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*p = percent{off: true}
		return nil
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(string(text), "%"), 64)
	if err != nil || !(n >= 0 && n <= 100) {
		return fmt.Errorf("%q is not a share; write it like 5 or 0.5, from 0 to 100, or off", text)
	}
	*p = percent{on: true, n: n}
	return nil
}

// limits are when a check is a warning and when it is critical.
type limits struct {
	warn, critical limit
	below          bool // what is below them is bad, not what is above
}

// beyond reports whether a value is on the wrong side of a limit.
func (l *limits) beyond(v float64, of limit) bool {
	return of.on && (l.below && v < of.n || !l.below && v > of.n)
}

// A verdict is how bad it is, and the exit code.
type verdict int

const (
	fine verdict = iota
	warning
	critical
	unknown
)

func (v verdict) String() string { return [...]string{"ok", "warning", "critical", "unknown"}[v] }

// A finding is what one check has found.
type finding struct {
	Check    string   `json:"check"`
	State    string   `json:"state"`
	Service  string   `json:"service,omitempty"` // the worst, where the check is of services
	Text     string   `json:"text"`
	Value    *float64 `json:"value,omitempty"`
	Unit     string   `json:"unit,omitempty"`
	Warning  *float64 `json:"warning,omitempty"`
	Critical *float64 `json:"critical,omitempty"`

	state verdict
	below bool
}

// judge compares what the broker says with the limits.
func judge(s *adminapi.Status, services []adminapi.Service, all map[string]limits) *checkReport {
	var oldest, fewest adminapi.Service
	queued := 0
	for i := range services {
		k := &services[i]
		queued += k.Queued
		if k.OldestMS > oldest.OldestMS {
			oldest = *k
		}
		if i == 0 || k.Workers < fewest.Workers {
			fewest = *k
		}
	}
	waited := seconds(float64(oldest.OldestMS) / 1000)
	lag := s.LoopLagMS / 1000
	r := &checkReport{summary: fmt.Sprintf("%s, %s, %s; %s, loop lag %s", number(len(services), "service"),
		number(s.Workers, "worker"), waiting(queued, waited), number(s.DeadLetters, "dead letter"), seconds(lag))}

	text := "no request waits"
	if oldest.OldestMS > 0 {
		text = fmt.Sprintf("a request of %s has waited %s", oldest.Name, waited)
		switch {
		case oldest.Paused:
			text += " (the service is paused)"
		case oldest.Workers == 0:
			text += " (no live worker serves it)"
		}
	}
	r.add(finding{Check: "oldest", Service: oldest.Name, Text: text, Unit: "s"}, float64(oldest.OldestMS)/1000, all["oldest"], seconds)
	r.add(finding{Check: "queued", Text: number(queued, "request") + " in the queue"}, float64(queued), all["queued"], plain)
	text = "no service has a live worker"
	if len(services) > 0 {
		text = fmt.Sprintf("%s has %s", fewest.Name, number(fewest.Workers, "live worker"))
	}
	r.add(finding{Check: "workers", Service: fewest.Name, Text: text}, float64(fewest.Workers), all["workers"], plain)
	r.add(finding{Check: "dead", Text: number(s.DeadLetters, "dead letter")}, float64(s.DeadLetters), all["dead"], plain)
	r.judgeRuns(services, all["busy"])
	r.judgeFailures(services, all["failing"])
	text = "the broker's loop was held up for " + seconds(lag)
	if s.StoodStill() {
		text = "the broker's machine stood still for " + seconds(lag) + " (the broker itself had little to do)"
	}
	r.add(finding{Check: "loop-lag", Text: text, Unit: "s"}, lag, all["loop-lag"], seconds)
	if s.Draining {
		r.found(finding{Check: "draining", Text: "the broker drains", state: warning})
	}
	slices.SortStableFunc(r.Findings, func(a, b finding) int { return int(b.state - a.state) })
	return r
}

// judgeRuns looks at what workers have had for longest. Without limits one that
// hangs is a warning.
func (r *checkReport) judgeRuns(services []adminapi.Service, l limits) {
	var longest adminapi.Service
	for i := range services {
		k := &services[i]
		worse := k.RunMS > longest.RunMS
		if !l.set() && k.Hanging != longest.Hanging {
			worse = k.Hanging
		}
		if worse {
			longest = *k
		}
	}
	text := "nothing runs"
	if longest.RunMS > 0 {
		text = fmt.Sprintf("worker %s has had request %s of %s for %s", longest.RunWorker, longest.RunID, longest.Name, ms(longest.RunMS))
	}
	f := finding{Check: "busy", Service: longest.Name, Text: text, Unit: "s"}
	if longest.Hanging && !l.set() && !l.off() {
		f.Text += ": it hangs, for it is longer than " + ms(longest.HangAfterMS)
		f.state = warning
		r.found(f)
		return
	}
	r.add(f, float64(longest.RunMS)/1000, l, seconds)
}

// judgeFailures looks at the largest share of failures. Without limits a service
// that fails is a warning.
func (r *checkReport) judgeFailures(services []adminapi.Service, l limits) {
	var worst adminapi.Service
	share := func(k *adminapi.Service) float64 {
		if k.RecentDone == 0 {
			return 0
		}
		return 100 * float64(k.RecentFailed) / float64(k.RecentDone)
	}
	for i := range services {
		k := &services[i]
		worse := share(k) > share(&worst)
		if !l.set() && k.Failing != worst.Failing {
			worse = k.Failing
		}
		if worse {
			worst = *k
		}
	}
	text := "nothing has failed in the last five minutes"
	if worst.RecentFailed > 0 {
		text = fmt.Sprintf("%s fails: %d of %d in the last five minutes did not end OK", worst.Name, worst.RecentFailed, worst.RecentDone)
	}
	f := finding{Check: "failing", Service: worst.Name, Text: text, Unit: "%"}
	if worst.Failing && !l.set() && !l.off() {
		f.state = warning
		r.found(f)
		return
	}
	r.add(f, math.Round(share(&worst)*10)/10, l, func(n float64) string { return plain(n) + " %" })
}

// set reports whether there is a limit, off whether it was said that there is none.
func (l *limits) set() bool { return l.warn.on || l.critical.on }
func (l *limits) off() bool { return l.warn.off || l.critical.off }

// add judges one value, unless it has no limits.
func (r *checkReport) add(f finding, v float64, l limits, read func(float64) string) {
	if !l.warn.on && !l.critical.on {
		return
	}
	f.Value, f.below = &v, l.below
	if l.warn.on {
		f.Warning = &l.warn.n
	}
	if l.critical.on {
		f.Critical = &l.critical.n
	}
	word := ", more than "
	if l.below {
		word = ", fewer than "
	}
	switch {
	case l.beyond(v, l.critical):
		f.state = critical
		f.Text += word + read(l.critical.n)
	case l.beyond(v, l.warn):
		f.state = warning
		f.Text += word + read(l.warn.n)
	}
	r.found(f)
}

func (r *checkReport) found(f finding) {
	f.State = f.state.String()
	f.Text = oneLine(f.Text)
	r.Findings = append(r.Findings, f)
	r.state = max(r.state, f.state)
	r.State = r.state.String()
}

// seconds is a number of seconds as people read it.
func seconds(n float64) string { return human(time.Duration(n * float64(time.Second))) }

// plain is a number as short as can be, to the millionth.
func plain(n float64) string { return strconv.FormatFloat(math.Round(n*1e6)/1e6, 'f', -1, 64) }

// number is "1 worker" or "2 workers".
func number(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// waiting is what waits, in words.
func waiting(queued int, oldest string) string {
	switch queued {
	case 0:
		return "no request waits"
	case 1:
		return "1 request waits, for " + oldest
	}
	return strconv.Itoa(queued) + " requests wait, the oldest for " + oldest
}
