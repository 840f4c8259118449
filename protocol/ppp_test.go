package protocol

import (
	"strings"
	"testing"
)

// Workers after the guide in C++, PHP, Lua and Tcl say READY and HEARTBEAT as
// words, and hear HEARTBEAT as a word. In all else they are as others.
func TestPPPInWords(t *testing.T) {
	heartbeat := Message{Command: Heartbeat}
	for _, c := range []struct {
		in   string
		want Message
		beat string // their HEARTBEAT
	}{
		{"READY", Message{Command: Ready, Credit: 1, Flags: Last}, "HEARTBEAT"},
		{"HEARTBEAT", Message{Command: Heartbeat, Credit: 1}, "HEARTBEAT"},
		{"\x01", Message{Command: Ready, Credit: 1, Flags: Last}, "\x02"},
		{"\x02", Message{Command: Heartbeat, Credit: 1}, "\x02"},
	} {
		var m, parsed Message
		o, err := Read(BackPort, frames(c.in), AllDialects, &m)
		if err != nil || o.Dialect != PPP || !o.Worker || !ParsePPP(frames(c.in), &parsed) {
			t.Fatalf("%q: %+v, %v", c.in, o, err)
		}
		same(t, c.in, m, c.want)
		same(t, c.in, parsed, c.want)
		got, _ := Append(nil, nil, &o, &heartbeat)
		if len(got) != 1 || string(got[0]) != c.beat {
			t.Errorf("to who says %q a heartbeat is %q", c.in, got)
		}
		got, _ = Append(nil, nil, &o, &Message{Command: Request, ID: idA, Number: 7, Epoch: 9, Body: frames("a")})
		if len(got) != 3 || string(got[0]) != address() || len(got[1]) != 0 || string(got[2]) != "a" {
			t.Errorf("to who says %q a request is %q", c.in, got)
		}
	}
	for _, in := range [][][]byte{
		frames("ready"), frames("READY "), frames("READY\x00"), frames("Heartbeat"), frames("READY", "x"), frames("READY", ""),
	} {
		var m Message
		if o, err := Read(BackPort, in, AllDialects, &m); err == nil {
			t.Errorf("%q is taken as %v of %+v", in, m.Command, o)
		}
	}
	var m Message
	if o, err := Read(BackPort, frames("READY"), one(PRV1), &m); err == nil || o.Dialect != PPP {
		t.Errorf("where no PPP is served: %+v, %v", o, err)
	}
}

// Workers without heartbeats: on a REQ socket, which puts an empty frame before all,
// and on a REP socket, which says nothing of itself.
func TestMuteWorkers(t *testing.T) {
	ask := Message{Command: Request, ID: idA, Number: 7, Epoch: 9, Body: frames("a")}
	ready, reply := Message{Command: Ready, Credit: 1, Flags: Last}, Message{Command: Reply, Code: OK, ID: idA, Number: 7, Epoch: 9, Body: frames("r")}
	for _, c := range []struct {
		in   [][]byte
		want Message
	}{
		{frames("", "\x01"), ready}, {frames("", "READY"), ready}, {frames("", address(), "", "r"), reply}, {frames("", address(), "r"), reply},
	} {
		var m Message
		o, err := Read(BackPort, c.in, AllDialects, &m)
		if err != nil || o.Dialect != PPP || !o.Worker || !o.Mute() {
			t.Fatalf("%q: %+v, %v", c.in, o, err)
		}
		same(t, "from a REQ", m, c.want)
		if got, _ := Append(nil, nil, &o, &ask); string(packed(got)) != string(packed(frames("", address(), "", "a"))) {
			t.Errorf("a REQ is asked %q", got)
		}
		if got, _ := Append(nil, nil, &o, &Message{Command: Heartbeat}); got != nil {
			t.Errorf("a REQ gets %q", got)
		}
	}
	for _, in := range [][][]byte{frames("", "\x02"), frames("", "HEARTBEAT"), frames("", "READY", "x"), frames("", "hello"), frames("", "", "READY"), frames("", address())} {
		var m Message
		if o, err := Read(BackPort, in, AllDialects, &m); err == nil {
			t.Errorf("%q is taken as %v of %+v", in, m.Command, o)
		}
	}
	rep := REPWorker()
	if got, _ := Append(nil, nil, &rep, &ask); !rep.Mute() || string(packed(got)) != string(packed(frames(address(), "", "a"))) {
		t.Errorf("a REP is asked %q", got)
	}
	if got, _ := Append(nil, nil, &rep, &Message{Command: Heartbeat}); got != nil {
		t.Errorf("a REP gets %q", got)
	}
	for _, in := range []string{"\x01", "READY"} {
		var m Message
		if o, err := Read(BackPort, frames(in), AllDialects, &m); err != nil || o.Mute() {
			t.Errorf("%q: %+v, %v", in, o, err)
		}
	}
}

// One frame of a DEALER that sends no delimiter is a request, and is answered
// without one. More frames may be anything.
func TestBareRequests(t *testing.T) {
	for _, body := range []string{"request #1", "x", "MDPlan", "READY, steady"} {
		var m Message
		o, err := Read(FrontPort, frames(body), AllDialects, &m)
		if err != nil || o.Dialect != Plain || o.Worker {
			t.Fatalf("%q: %+v, %v", body, o, err)
		}
		same(t, body, m, Message{Command: Request, Number: 1, Body: frames(body)})
		for _, want := range [][][]byte{frames("r"), frames("r", "", "s"), frames("")} {
			reply := Message{Command: Reply, Code: OK, Body: want}
			if got, _ := Append(nil, nil, &o, &reply); string(packed(got)) != string(packed(want)) {
				t.Errorf("answered with %q", got)
			}
		}
		if got, _ := Append(nil, nil, &o, &Message{Command: Reply, Code: OK}); len(got) != 1 || len(got[0]) != 0 {
			t.Errorf("an empty answer is %q", got)
		}
	}
	for _, c := range []struct {
		at   Port
		in   [][]byte
		word string
	}{
		{FrontPort, frames("\x01"), "Paranoid Pirate worker"}, {FrontPort, frames("HEARTBEAT"), "Paranoid Pirate worker"},
		{FrontPort, frames(address(), "r"), "Paranoid Pirate worker"},
		{FrontPort, frames("a", "b"), "DEALER"}, {FrontPort, frames(""), "DEALER"},
		{FrontPort, encode(FrontIn, Message{Command: Ping}), "PRV1"},
		{FrontPort, frames("\xaa\xa4\x04\x06MDPW02\x01\x04echo"), "zeromq/majordomo"},
		{BackPort, frames("\xaa\xa4\x04\x06MDPW02\x01\x04echo"), "zeromq/majordomo"},
		{BackPort, frames("request #1"), "frontend"}, {BackPort, frames("", "hello"), "frontend"},
	} {
		var m Message
		if o, err := Read(c.at, c.in, AllDialects, &m); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%q: %+v, %v; want a word of %q", c.in, o, err, c.word)
		}
	}
	var m Message
	if _, err := Read(FrontPort, frames("hello"), one(PRV1), &m); err == nil {
		t.Error("a bare request is taken where no plain client is served")
	}
}
