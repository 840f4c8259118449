package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

func testMetrics(maxServices int) *metrics {
	return newMetrics(&Broker{cfg: Config{MaxServices: maxServices}.withDefaults()})
}

// play counts one request that ran from its hand-over until now.
func (m *metrics) play(now, ran time.Duration, n int, service string, code protocol.Code) {
	id := protocol.ID{0: 1, 14: byte(n >> 8), 15: byte(n)}
	m.note(now-ran, &core.Event{What: core.EventHandedOut, ID: id, Service: service, Attempt: 1})
	m.note(now, &core.Event{What: core.EventFinished, ID: id, Service: service, Code: code, Took: ran})
}

// TestHanging: what a service's runs take says from when on one of them hangs.
func TestHanging(t *testing.T) {
	m := testMetrics(10)
	run := func(held time.Duration) core.RequestInfo { return core.RequestInfo{Held: held, Worker: 7} }
	if h := m.health(time.Hour, "new", run(59*time.Second)); h.hanging || h.hangAfter != time.Minute {
		t.Errorf("of a service of which nothing has ended: %+v", h)
	}
	if h := m.health(time.Hour, "new", run(7*time.Minute)); !h.hanging {
		t.Errorf("seven minutes: %+v", h)
	}
	now := time.Hour
	for i := range 200 { // some are slow, most are not
		ran := 50 * time.Millisecond
		if i%50 == 0 {
			ran = 5 * time.Second
		}
		now += ran
		m.play(now, ran, i, "quick", protocol.OK)
	}
	h := m.health(now, "quick", run(9*time.Second))
	if h.p99 < 5*time.Second || h.p99 > 10*time.Second || h.hangAfter != 10*h.p99 || h.hanging {
		t.Errorf("with a p99 of 5 s: %+v", h)
	}
	for i := range 4000 { // it forgets
		now += time.Millisecond
		m.play(now, time.Millisecond, i, "quick", protocol.OK)
	}
	if h := m.health(now, "quick", run(11*time.Second)); h.p99 > 4*time.Millisecond || h.hangAfter != 10*time.Second || !h.hanging {
		t.Errorf("with a p99 of 1 ms: %+v", h)
	}
	if len(m.clock) != 0 {
		t.Errorf("%d runs are timed that have ended", len(m.clock))
	}
	for i := range 1000 {
		m.note(now, &core.Event{What: core.EventHandedOut, ID: protocol.ID{0: 2, 14: byte(i >> 8), 15: byte(i)}, Service: "quick", Attempt: 1})
	}
	if len(m.clock) != runsMax {
		t.Errorf("%d runs are timed at once", len(m.clock))
	}
}

// TestFailing: only the last minutes count, and only failures.
func TestFailing(t *testing.T) {
	m := testMetrics(10)
	now := time.Hour
	for i := range 60 {
		m.play(now, time.Millisecond, i, "bad", protocol.Failed)
		m.play(now, time.Millisecond, i, "good", protocol.OK)
		m.play(now, time.Millisecond, i, "left", protocol.Cancelled)
	}
	for i := range 2 {
		m.play(now, time.Millisecond, i, "good", protocol.Expired)
	}
	none := core.RequestInfo{}
	if h := m.health(now, "bad", none); !h.failing || h.failed != 60 || h.done != 60 {
		t.Errorf("60 of 60 failed: %+v", h)
	}
	if h := m.health(now, "good", none); h.failing || h.failed != 2 || h.done != 62 {
		t.Errorf("2 of 62 failed: %+v", h)
	}
	if h := m.health(now, "left", none); h.failing || h.done != 0 {
		t.Errorf("60 were cancelled: %+v", h)
	}
	if h := m.health(now+3*time.Minute, "bad", none); !h.failing {
		t.Errorf("three minutes later: %+v", h)
	}
	for _, later := range []time.Duration{6 * time.Minute, 48 * time.Hour} {
		if h := m.health(now+later, "bad", none); h.failing || h.done != 0 {
			t.Errorf("%s later: %+v", later, h)
		}
	}
}

// TestNamesUsedOnce: names beyond the bound are counted as others, and not for one
// of them; those that are gone for long give their place back.
func TestNamesUsedOnce(t *testing.T) {
	m := testMetrics(5) // places for ten
	now := time.Hour
	for i := range 30 {
		m.play(now, time.Millisecond, i, fmt.Sprintf("name-%02d", i), protocol.OK)
	}
	text := gathered(t, m)
	for _, line := range []string{`privateer_requests_total[outcome=ok service=(others)] 20`, `privateer_requests_total[outcome=ok service=name-09] 1`} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
	if strings.Contains(text, "name-10") {
		t.Errorf("a name beyond the bound is a label:\n%s", text)
	}
	now += goneFor + time.Second
	m.play(now, time.Millisecond, 1, "late", protocol.OK)
	text = gathered(t, m)
	if !strings.Contains(text, "service=late] 1\n") || strings.Contains(text, "name-09") || !strings.Contains(text, "service=(others)] 20\n") {
		t.Errorf("names that were gone for long have kept their places:\n%s", text)
	}
}

// gathered are the counts of requests, a line each.
func gathered(t *testing.T, m *metrics) string {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		if f.GetName() != "privateer_requests_total" {
			continue
		}
		for _, k := range f.GetMetric() {
			var labels []string
			for _, l := range k.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			fmt.Fprintf(&b, "%s%v %v\n", f.GetName(), labels, k.GetCounter().GetValue())
		}
	}
	return b.String()
}
