package bench

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/protocol"
)

// A server takes work for each request, and stalls all of them from one time on
// to another, in a bubble of synctest: its time is not real.
type server struct {
	work       time.Duration
	from, to   time.Time // of the stall
	asked      atomic.Int64
	inAir, top atomic.Int64
	err        func(n int64) error // outcome of request n; nil is OK
}

func (s *server) Do(ctx context.Context, _ client.Request) (client.Reply, error) {
	n, now := s.asked.Add(1), time.Now()
	air := s.inAir.Add(1)
	defer s.inAir.Add(-1)
	for top := s.top.Load(); air > top && !s.top.CompareAndSwap(top, air); top = s.top.Load() {
	}
	wait := s.work
	if !now.Before(s.from) && now.Before(s.to) {
		wait += s.to.Sub(now)
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return client.Reply{}, ctx.Err()
	}
	if s.err != nil {
		return client.Reply{}, s.err(n)
	}
	return client.Reply{}, nil
}

// stalled is a server that works 1 ms and stalls from 3 s to 4 s.
func stalled() *server {
	now := time.Now()
	return &server{work: time.Millisecond, from: now.Add(3 * time.Second), to: now.Add(4 * time.Second)}
}

// near wants a value within 3%.
func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if d := got - want; max(d, -d) > want*3/100 {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestOpenLoop: the rate is kept, whatever comes back, and a stall shows in
// every request that was due in it: a tenth of them here.
func TestOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := stalled(), stalled()
		var seconds []Second
		r := Run(t.Context(), []Asker{a, b}, Config{Rate: 300, Duration: 10 * time.Second,
			Progress: func(s Second) { seconds = append(seconds, s) }})
		if r.Requests != 3000 || r.OK != 3000 || a.asked.Load() != 1500 || b.asked.Load() != 1500 || r.LateMax != 0 {
			t.Errorf("%d requests, %d OK, %d and %d asked, late by %v", r.Requests, r.OK, a.asked.Load(), b.asked.Load(), r.LateMax)
		}
		near(t, "p50", r.P50, time.Millisecond)
		near(t, "p99", r.P99, 901*time.Millisecond)
		near(t, "p99.9", r.P999, 991*time.Millisecond)
		near(t, "max", r.Max, 1001*time.Millisecond)
		if r.Throughput < 299 || r.Throughput > 300 {
			t.Errorf("throughput %v", r.Throughput)
		}
		if len(seconds) < 9 || seconds[3].InAir < 298 || seconds[3].OK > 2 || seconds[4].OK < 598 {
			t.Errorf("seconds %+v", seconds)
		}
	})
}

// TestLateRequests: those that could not be sent when they were due, because
// too many were in the air, are sent later and counted from when they were due.
// Counted from when they were sent, they would hide the stall.
func TestLateRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stalled()
		r := Run(t.Context(), []Asker{s}, Config{Rate: 300, Duration: 10 * time.Second, InFlight: 4})
		if r.Requests != 3000 || r.OK != 3000 || s.top.Load() != 4 {
			t.Errorf("%d requests, %d OK, %d in the air", r.Requests, r.OK, s.top.Load())
		}
		near(t, "late", r.LateMax, 988*time.Millisecond)
		if r.P99 < 890*time.Millisecond || r.P99 > 950*time.Millisecond {
			t.Errorf("p99 %v, want about 0.9 s", r.P99)
		}
	})
}

// TestClosedLoop: the window is kept, and the stall shows in as many requests
// as were in the air.
func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stalled()
		r := Run(t.Context(), []Asker{s}, Config{Window: 5, Duration: 10 * time.Second})
		if s.top.Load() != 5 || r.Requests < 44_000 || r.Requests > 45_010 {
			t.Errorf("%d in the air, %d requests", s.top.Load(), r.Requests)
		}
		near(t, "p99.9", r.P999, time.Millisecond)
		near(t, "max", r.Max, 1001*time.Millisecond)
		if r.Throughput < 4400 || r.Throughput > 4501 {
			t.Errorf("throughput %v", r.Throughput)
		}
	})
}

// TestWarmup: what was due before is not counted.
func TestWarmup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stalled()
		r := Run(t.Context(), []Asker{s}, Config{Rate: 100, Warmup: 5 * time.Second, Duration: 2 * time.Second})
		if s.asked.Load() != 700 || r.Requests != 200 || r.OK != 200 || r.Measured != 2*time.Second {
			t.Errorf("%d asked, %d requests, %d OK, %v measured", s.asked.Load(), r.Requests, r.OK, r.Measured)
		}
		near(t, "max", r.Max, time.Millisecond)
	})
}

// TestThroughput: it counts what was answered within the measured time; the
// rest is answered after it.
func TestThroughput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{work: time.Second}
		r := Run(t.Context(), []Asker{s}, Config{Rate: 10, Duration: 2 * time.Second})
		if r.Requests != 20 || r.OK != 20 || r.Throughput != 5 {
			t.Errorf("%d requests, %d OK, throughput %v", r.Requests, r.OK, r.Throughput)
		}
	})
}

// TestStop: what is under way when it is stopped is neither OK nor an error.
func TestStop(t *testing.T) {
	for name, cfg := range map[string]Config{
		"open":    {Rate: 100, Duration: time.Hour},
		"blocked": {Rate: 100, Duration: time.Hour, InFlight: 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 3505*time.Millisecond)
				defer cancel()
				began := time.Now()
				r := Run(ctx, []Asker{stalled()}, cfg)
				if took := time.Since(began); took != 3505*time.Millisecond {
					t.Errorf("it took %v", took)
				}
				if r.Requests != 351 || r.OK != 300 || r.Unfinished != 51 || r.Failed() != 0 || !r.Stopped || r.Measured != 3505*time.Millisecond {
					t.Errorf("got %+v", r)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // within the warm-up
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := Run(ctx, []Asker{stalled()}, Config{Window: 1, Warmup: time.Minute, Duration: time.Minute})
		if r.Requests != 0 || r.Measured != 0 || r.Throughput != 0 || r.P99 != 0 || !r.Stopped {
			t.Errorf("got %+v", r)
		}
	})
}

// failing answers every fourth request OK.
func failing(n int64) error {
	switch n % 4 {
	case 1:
		return &client.Error{Code: protocol.Expired}
	case 2:
		return fmt.Errorf("wrapped: %w", &client.Error{Code: protocol.Overloaded})
	case 3:
		return &client.Error{Code: protocol.Expired}
	}
	return nil
}

// TestErrors: they are counted by code, and have no latency.
func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{work: time.Millisecond, err: failing}
		r := Run(t.Context(), []Asker{s}, Config{Rate: 100, Duration: 4 * time.Second})
		if r.Requests != 400 || r.OK != 100 || r.Errors["EXPIRED"] != 200 || r.Errors["OVERLOADED"] != 100 || r.Failed() != 300 {
			t.Errorf("got %+v", r)
		}
		if r.Throughput < 24 || r.Throughput > 25 {
			t.Errorf("throughput %v", r.Throughput)
		}
	})
}

// sample is a result with a value in every field.
func sample() *Result {
	return &Result{Service: `a,"b`, Size: 64, Clients: 2, Rate: 100, Warmup: time.Second, Measured: 1500 * time.Millisecond,
		Requests: 150, OK: 147, Unfinished: 1, Errors: map[string]int64{"EXPIRED": 1, "CANCELLED": 1}, Throughput: 98, LateMax: 2 * time.Millisecond,
		Mean: 1100 * time.Microsecond, P50: time.Millisecond, P90: 2 * time.Millisecond, P99: 3 * time.Millisecond,
		P999: 4 * time.Millisecond, P9999: 5 * time.Millisecond, Max: 6001 * time.Microsecond}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := sample().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `bench: open loop, 100/s, clients 2, service "a,\"b", 64 bytes, 1.5 s after 1.0 s of warm-up
requests=150 ok=147 errors=2 unfinished=1 throughput_per_s=98.0 late_max_ms=2.000
latency_ms mean=1.100 p50=1.000 p90=2.000 p99=3.000 p99.9=4.000 p99.99=5.000 max=6.001
errors CANCELLED=1 EXPIRED=1
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
}

// TestJSONAndCSV: both are read back by a parser, and say the same.
func TestJSONAndCSV(t *testing.T) {
	var b bytes.Buffer
	if err := sample().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(b.Bytes(), &object); err != nil {
		t.Fatalf("%v: %s", err, &b)
	}
	byCode, _ := object["errors_by_code"].(map[string]any)
	if object["p99_99_ms"] != 5.0 || object["max_ms"] != 6.001 || object["mode"] != "open" || byCode["EXPIRED"] != 1.0 {
		t.Errorf("got %v", object)
	}
	b.Reset()
	if err := sample().WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(table) != 2 || len(table[0]) != len(object) {
		t.Fatalf("%v: %d lines, want 2 with %d columns", err, len(table), len(object))
	}
	for i, name := range table[0] {
		got, want := table[1][i], fmt.Sprint(object[name])
		switch v := object[name].(type) {
		case map[string]any:
			want = "CANCELLED=1;EXPIRED=1"
		case float64:
			if strings.Contains(got, ".") {
				want = fmt.Sprintf("%.3f", v)
			}
		}
		if got != want {
			t.Errorf("%s: %s in CSV, %s in JSON", name, got, want)
		}
	}
}
