package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
)

// The same seed gives the same plan, another seed another one.
func TestPlanIsSeeded(t *testing.T) {
	for i := range scenarios {
		s := &scenarios[i]
		first := s.plan(5, time.Minute, 0, 4, 4)
		if again := s.plan(5, time.Minute, 0, 4, 4); !slices.Equal(first, again) {
			t.Errorf("%s: two plans of one seed differ", s.name)
		}
		if other := s.plan(6, time.Minute, 0, 4, 4); len(s.moves) > 0 && slices.Equal(first, other) {
			t.Errorf("%s: two seeds give one plan", s.name)
		}
	}
}

// A plan keeps to its time, strikes a slot only when the last strike there is
// over, and uses every move of its scenario.
func TestPlanKeepsItsBounds(t *testing.T) {
	const duration = 20 * time.Minute
	for i := range scenarios {
		s := &scenarios[i]
		free, seen, last := map[string]time.Duration{}, map[string]bool{}, time.Duration(0)
		for _, k := range s.plan(1, duration, 0, 4, 4) {
			if k.at < last || k.at+k.lasts > duration {
				t.Fatalf("%s: out of its time: %v", s.name, k)
			}
			if k.at < free[k.slot] {
				t.Fatalf("%s: the slot is not free: %v", s.name, k)
			}
			if onLink(k.kind) && !s.proxied {
				t.Fatalf("%s: there is no proxy: %v", s.name, k)
			}
			last, free[k.slot] = k.at, k.at+k.lasts
			seen[k.kind+" "+history.Role(k.slot)] = true
		}
		for _, m := range s.moves {
			if !seen[m.kind+" "+m.role] {
				t.Errorf("%s: no %s of a %s", s.name, m.kind, m.role)
			}
		}
	}
}

func TestPlanEndsWithItsKills(t *testing.T) {
	for i := range scenarios {
		s := &scenarios[i]
		if !s.kills() {
			continue
		}
		strikes, kills := s.plan(1, time.Second, 30, 4, 4), 0
		for _, k := range strikes {
			if k.kind == history.Kill {
				kills++
			}
		}
		if kills != 30 || strikes[len(strikes)-1].kind != history.Kill {
			t.Errorf("%s: %d kills, want 30, the last at the end", s.name, kills)
		}
	}
}

func TestFind(t *testing.T) {
	for name, want := range map[string]int{"all": len(scenarios), "ci": 6, "mixed": 1} {
		if list, err := find(name); err != nil || len(list) != want {
			t.Errorf("%s: %d scenarios, %v; want %d", name, len(list), err, want)
		}
	}
	if _, err := find("kill"); err == nil || !strings.Contains(err.Error(), "kill-worker, kill-broker") {
		t.Errorf("error %v does not name what there is", err)
	}
}

func TestFlags(t *testing.T) {
	var c config
	if _, err := c.parse([]string{"-scenario=freeze", "-kills=3"}); err == nil {
		t.Error("kills where nothing is killed are accepted")
	}
	if _, err := c.parse([]string{"-duration=0s"}); err == nil {
		t.Error("no duration is accepted")
	}
	if _, err := c.parse([]string{"mixed"}); err == nil {
		t.Error("an argument is accepted")
	}
	c = config{}
	if list, err := c.parse([]string{"-scenario=ci"}); err != nil || len(list) != 6 || c.seed == 0 {
		t.Errorf("%d scenarios, seed %d, %v", len(list), c.seed, err)
	}
}

func TestOrder(t *testing.T) {
	o := order{Key: "client-1.1-7", Work: 30 * ms, Once: true, Progress: true}
	body := o.encode([]byte("padding\nof two lines"))
	if back, err := decode(body); err != nil || back != o {
		t.Errorf("decoded %+v, %v", back, err)
	}
	if digest(body) == digest(o.encode(nil)) {
		t.Error("the padding does not count")
	}
	if _, err := decode([]byte("no line")); err == nil {
		t.Error("a body without a line is accepted")
	}
}
