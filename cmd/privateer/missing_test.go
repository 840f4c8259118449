package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// Only as many ends in a row as count are worth a line, and only one.
func TestMissing(t *testing.T) {
	var log bytes.Buffer
	m := missing{log: zerolog.New(&log)}
	for i, code := range []int{127, 126, 0, 127, 127, 1, 127, 126, -1, 126, 127} {
		if m.ended(code, ""); log.Len() > 0 {
			t.Fatalf("a line after %d ends: %s", i+1, &log)
		}
	}
	for range 5 {
		m.ended(127, "sh: nothing")
	}
	if n := strings.Count(log.String(), "exit-missing"); n != 1 {
		t.Errorf("%d lines: %s", n, &log)
	}
}
