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

// What others have written can neither move the cursor nor look like something else.
func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"one\ntwo\r\n":         "one; two",
		"a\x1b[2Jb\u009bc":     "a [2Jb c",
		"sum\u202egnp\u200b":   `sum\u{202e}gnp\u{200b}`,
		"a\u2028b\ufeff":       `a\u{2028}b\u{feff}`,
		"Grüße, 日本, e\u0301 ↑": "Grüße, 日本, e\u0301 ↑",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
