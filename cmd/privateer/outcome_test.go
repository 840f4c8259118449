package main

import (
	"bytes"
	"testing"
)

// A pipe gets the reply byte for byte; on a terminal the prompt begins a line.
func TestWriteReply(t *testing.T) {
	for _, c := range []struct {
		frames   []string
		terminal bool
		want     string
	}{
		{[]string{"hello"}, false, "hello"},
		{[]string{"hello"}, true, "hello\n"},
		{[]string{"hello\n"}, true, "hello\n"},
		{[]string{"hello\n", ""}, true, "hello\n"},
		{[]string{"hello\n", "there"}, true, "hello\nthere\n"},
		{nil, true, ""},
		{[]string{""}, true, ""},
	} {
		var o outcome
		for _, f := range c.frames {
			o.frames = append(o.frames, []byte(f))
		}
		var out bytes.Buffer
		if err := o.writeReply(&out, c.terminal); err != nil || out.String() != c.want {
			t.Errorf("%q on a terminal (%v): %q, %v; want %q", c.frames, c.terminal, out.String(), err, c.want)
		}
	}
}
