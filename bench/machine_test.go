package main

import (
	"net"
	"strings"
	"testing"
)

// Only connections at the broker's ports count, and not the listener.
func TestEstablished(t *testing.T) {
	var at ports
	for i, endpoint := range []*string{&at.Front, &at.Back} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		*endpoint = "tcp://" + l.Addr().String()
		for range 2 + i {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			accepted, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
		}
	}
	if n, err := established(at); n != 5 || err != nil {
		t.Errorf("%d connections, %v; want 2 + 3", n, err)
	}
	if _, err := established(ports{"tcp://127.0.0.1:none", at.Back}); err == nil {
		t.Error("a port that is none")
	}
}

// A run does not count if one side had more connections than clients and workers.
func TestRefuse(t *testing.T) {
	s := scenario{clients: 4, workers: 8, alike: true}
	if err := s.refuse(&run{load: load{Done: 1}, Connections: 12}); err != nil {
		t.Error(err)
	}
	for want, r := range map[string]run{
		"13 connections at the broker; 12 clients and workers have 12": {load: load{Done: 1}, Connections: 13},
		"no request was answered":                                      {Connections: 12},
		"2 requests failed: why":                                       {load: load{Done: 1, Failed: 2, Error: "why"}, Connections: 12},
		"3 requests were never answered":                               {load: load{Done: 1, Lost: 3}, Connections: 12},
	} {
		if err := s.refuse(&r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

// What others had is what was used but not by us; idle time and interrupts are
// nobody's, stolen time is others'.
func TestOthers(t *testing.T) {
	before := parseClock("cpu  1000 100 200 5000 50 7 30 10 0 0")
	after := parseClock("cpu  1300 100 300 5400 50 17 70 60 0 0")
	// 300 user, 100 system, 50 stolen, 400 idle and 50 of interrupts: 900 hundredths.
	if got := after.others(before, 2.7); got < .1999 || got > .2001 {
		t.Errorf("%.4f, want (4.5 - 2.7) / 9", got)
	}
	if got := after.others(before, 5); got != 0 {
		t.Errorf("%.4f where all was ours", got)
	}
	if got := before.others(before, 0); got != 0 {
		t.Errorf("%.4f in no time", got)
	}
	if c := readClock(); c.busy <= 0 || c.all <= c.busy {
		t.Errorf("this machine's clock: %+v", c)
	}
}
