package main

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Each connection has a window of requests open, not fewer and not more, and
// only what is answered whole counts.
func TestAsking(t *testing.T) {
	c := clientsConfig{Sockets: 3, Window: 4, Body: 10, Measured: 50 * time.Millisecond}
	var mu sync.Mutex
	full := make(chan struct{})
	var open, most [3]int
	begun := 0
	do := func(i int) (int, error) {
		mu.Lock()
		open[i]++
		most[i] = max(most[i], open[i])
		if begun++; begun == c.Sockets*c.Window { // nobody is answered before all have asked
			close(full)
		}
		mu.Unlock()
		<-full
		mu.Lock()
		open[i]--
		mu.Unlock()
		return c.Body, nil
	}
	l := asking(&c, do)
	if slices.Max(most[:]) != c.Window || slices.Min(most[:]) != c.Window {
		t.Errorf("open at a time: %v, want %d on each connection", most, c.Window)
	}
	if l.Failed > 0 || l.Done == 0 || l.P99 < l.P50 {
		t.Errorf("%+v", l)
	}
	l = asking(&c, func(int) (int, error) { return c.Body - 1, nil })
	if l.Done > 0 || l.Failed == 0 || !strings.Contains(l.Error, "an answer of 9 bytes to a request of 10") {
		t.Errorf("cut answers: %+v", l)
	}
	if l = asking(&c, func(int) (int, error) { return 0, errors.New("gone") }); l.Done > 0 || l.Error != "gone" {
		t.Errorf("failures: %+v", l)
	}
}
