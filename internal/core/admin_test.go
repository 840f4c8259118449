package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// TestOperators: what an operator sees, and does.
func TestOperators(t *testing.T) {
	s := newStage(t)
	s.run("w1 READY", "w1 HEARTBEAT", "c1 REQUEST A first=1", "c1 REQUEST B first=1", "c1 REQUEST C first=1")
	find := func(name string) RequestInfo {
		t.Helper()
		info, ok := s.core.Find(s.now, id(name))
		if !ok {
			t.Fatalf("%s is not found", name)
		}
		return info
	}
	s.run("+2s", "w1 HEARTBEAT A/1:running")
	if a := find("A"); a.State != "assigned" || !a.Started || a.Worker != '1' || a.Held != 2*time.Second || a.Clients != 1 {
		t.Errorf("A: %+v", a)
	}
	if c := find("C"); c.State != "queued" || c.Behind != 1 || c.Live != 1 || c.Free != 0 || c.Age != 2*time.Second || c.Left != 28*time.Second {
		t.Errorf("C: %+v", c)
	}
	if _, ok := s.core.Find(s.now, id("Z")); ok {
		t.Error("Z is found")
	}
	ws := s.core.Workers(s.now)
	if len(ws) != 1 || ws[0].State != "up" || ws[0].Running != 1 || ws[0].BusySince != 2*time.Second || fmt.Sprint(ws[0].Services) != "[echo]" {
		t.Errorf("workers: %+v", ws)
	}

	pause := func(on bool) {
		t.Helper()
		out, ok := s.core.Pause(s.now, "echo", on, nil)
		if !ok {
			t.Error("no such service")
		}
		s.put(out)
		if err := s.core.Check(); err != nil {
			t.Fatal(err)
		}
	}
	pause(true)
	s.run("w1 REPLY A/1 OK")
	if b := find("B"); b.State != "queued" || !b.Paused || b.Free != 1 {
		t.Errorf("B, paused: %+v", b)
	}
	if a := find("A"); a.State != "done" || a.Code != protocol.OK || a.Attempt != 1 {
		t.Errorf("A, done: %+v", a)
	}
	pause(false)
	if b := find("B"); b.State != "assigned" {
		t.Errorf("B, resumed: %+v", b)
	}
	out, ok := s.core.Withdraw(s.now, id("C"), nil)
	s.put(out)
	if c := find("C"); !ok || c.Code != protocol.Cancelled || c.Certainty != protocol.NotStarted {
		t.Errorf("C, cancelled: %t %+v", ok, c)
	}
	if _, ok := s.core.Withdraw(s.now, id("Z"), nil); ok {
		t.Error("Z is cancelled")
	}
	if _, ok := s.core.Pause(s.now, "nobody's", true, nil); ok {
		t.Error("a service that is not there is paused")
	}
}

// A service that is paused stays known, although nothing else keeps it.
func TestPausedServiceStays(t *testing.T) {
	s := newStage(t)
	s.run("c1 REQUEST A first=1 service=x remaining=1s")
	out, _ := s.core.Pause(s.now, "x", true, nil)
	s.put(out)
	s.run("+2s")
	if list := s.core.Services(s.now); len(list) != 1 || !list[0].Paused {
		t.Errorf("services: %+v", list)
	}
	out, _ = s.core.Pause(s.now, "x", false, nil)
	s.put(out)
	if list := s.core.Services(s.now); len(list) != 0 {
		t.Errorf("services: %+v", list)
	}
}
