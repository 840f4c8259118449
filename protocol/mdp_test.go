package protocol

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// address is the address that a worker is given for request idA, attempt 7.
func address() string { return string(appendToken(nil, &Message{ID: idA, Number: 7, Epoch: 9})) }

// zproto is a frame of zeromq/majordomo's C library, written from its grammar.
func zproto(command byte, service string) string {
	return "\xaa\xa4" + string([]byte{command}) + "\x06MDPC02" + string([]byte{command}) + string([]byte{byte(len(service))}) + service
}

// one is the set of a single dialect.
func one(d Dialect) Dialects { return 1 << d }

// TestReadMDP holds every message of RFC 7 and RFC 18 that a broker gets,
// written out here frame by frame, against what it means.
func TestReadMDP(t *testing.T) {
	request := Message{Command: Request, Number: 1, Service: []byte("echo"), Body: frames("a", "", "b")}
	request02 := request
	request02.Flags, request02.Stream.Grant = Partial, 16
	ready := Message{Command: Ready, Credit: 1, Flags: Last, Services: frames("echo")}
	reply := Message{Command: Reply, Code: OK, ID: idA, Number: 7, Epoch: 9, Body: frames("r")}
	part := reply
	part.Flags = Partial
	for _, c := range []struct {
		name     string
		in       [][]byte
		dialect  Dialect
		worker   bool
		envelope int // frames
		want     Message
	}{
		{"client 0.1, REQ", frames("", "MDPC01", "echo", "a", "", "b"), MDP01, false, 3, request},
		{"client 0.1, REQ_CORRELATE", frames("abcd", "", "MDPC01", "echo", "a", "", "b"), MDP01, false, 4, request},
		{"client 0.2", frames("MDPC02", "\x01", "echo", "a", "", "b"), MDP02, false, 3, request02},
		{"client 0.2 with an empty frame", frames("", "MDPC02", "\x01", "echo", "a", "", "b"), MDP02, false, 4, request02},
		{"client 0.2, majortomo", frames("", "MDPC02", "\x02", "echo", "a", "", "b"), MDP02, false, 4, request02},
		{"client 0.2, no command", frames("", "MDPC02", "echo", "a", "", "b"), MDP02, false, 3, request},
		{"client 0.2, zproto", frames(zproto(1, "echo"), "a", "", "b"), MDP02, false, 1, request02},
		{"READY 0.1", frames("", "MDPW01", "\x01", "echo"), MDP01, true, 2, ready},
		{"READY 0.2", frames("MDPW02", "\x01", "echo"), MDP02, true, 1, ready},
		{"READY 0.2 with an empty frame", frames("", "MDPW02", "\x01", "echo"), MDP02, true, 2, ready},
		{"REPLY 0.1", frames("", "MDPW01", "\x03", address(), "", "r"), MDP01, true, 2, reply},
		{"REPLY 0.1 without the empty frame", frames("", "MDPW01", "\x03", address(), "r"), MDP01, true, 2, reply},
		{"PARTIAL 0.2 without it", frames("MDPW02", "\x03", address(), "r"), MDP02, true, 1, part},
		{"FINAL 0.2 without it", frames("MDPW02", "\x04", address(), "r"), MDP02, true, 1, reply},
		{"PARTIAL 0.2", frames("MDPW02", "\x03", address(), "", "r"), MDP02, true, 1, part},
		{"FINAL 0.2", frames("MDPW02", "\x04", address(), "", "r"), MDP02, true, 1, reply},
		{"HEARTBEAT 0.1", frames("", "MDPW01", "\x04"), MDP01, true, 2, Message{Command: Heartbeat, Credit: 1}},
		{"HEARTBEAT 0.2", frames("MDPW02", "\x05"), MDP02, true, 1, Message{Command: Heartbeat, Credit: 1}},
		{"DISCONNECT 0.1", frames("", "MDPW01", "\x05"), MDP01, true, 2, Message{Command: Disconnect, Code: ReasonShutdown}},
		{"DISCONNECT 0.2", frames("MDPW02", "\x06"), MDP02, true, 1, Message{Command: Disconnect, Code: ReasonShutdown}},
	} {
		for _, at := range []Port{FrontPort, BackPort} { // both roles on either port
			var m Message
			o, err := Read(at, c.in, AllDialects, &m)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if o.Dialect != c.dialect || o.Worker != c.worker || !reflect.DeepEqual(o.Envelope, c.in[:c.envelope]) {
				t.Errorf("%s: came as %+v", c.name, o)
			}
			same(t, c.name, m, c.want)
		}
	}
}

// TestAppendMDP: the way back.
func TestAppendMDP(t *testing.T) {
	ask := Message{Command: Request, ID: idA, Number: 7, Epoch: 9, Body: frames("a", "b")}
	answer := Message{Command: Reply, Code: OK, Body: frames("r", "s")}
	part := answer
	part.Flags = Partial
	for _, c := range []struct {
		name string
		to   [][]byte // a message of the peer
		m    Message
		want [][]byte
	}{
		{"REQUEST 0.1", frames("", "MDPW01", "\x04"), ask, frames("", "MDPW01", "\x02", address(), "", "a", "b")},
		{"REQUEST 0.2", frames("MDPW02", "\x05"), ask, frames("MDPW02", "\x02", address(), "", "a", "b")},
		{"HEARTBEAT 0.1", frames("", "MDPW01", "\x04"), Message{Command: Heartbeat}, frames("", "MDPW01", "\x04")},
		{"HEARTBEAT 0.2", frames("MDPW02", "\x05"), Message{Command: Heartbeat}, frames("MDPW02", "\x05")},
		{"DISCONNECT 0.1", frames("", "MDPW01", "\x04"), Message{Command: Disconnect, Code: ReasonUnknown}, frames("", "MDPW01", "\x05")},
		{"DISCONNECT 0.2", frames("", "MDPW02", "\x05"), Message{Command: Disconnect}, frames("", "MDPW02", "\x06")},
		{"a worker has no CANCEL", frames("MDPW02", "\x05"), Message{Command: Cancel, ID: idA}, nil},
		{"client 0.1", frames("id", "", "MDPC01", "echo", "a"), answer, frames("id", "", "MDPC01", "echo", "r", "s")},
		{"client 0.2, FINAL", frames("MDPC02", "\x01", "echo", "a"), answer, frames("MDPC02", "\x03", "echo", "r", "s")},
		{"client 0.2, PARTIAL", frames("MDPC02", "\x01", "echo", "a"), part, frames("MDPC02", "\x02", "echo", "r", "s")},
		{"client 0.2 with an empty frame", frames("", "MDPC02", "\x01", "echo", "a"), answer, frames("", "MDPC02", "\x03", "echo", "r", "s")},
		{"majortomo, FINAL", frames("", "MDPC02", "\x02", "echo", "a"), answer, frames("", "MDPC02", "\x04", "r", "s")},
		{"majortomo, PARTIAL", frames("", "MDPC02", "\x02", "echo", "a"), part, frames("", "MDPC02", "\x03", "r", "s")},
		{"no command", frames("", "MDPC02", "echo", "a"), answer, frames("", "MDPC02", "echo", "r", "s")},
		{"zproto, FINAL", frames(zproto(1, "echo"), "a"), answer, frames(zproto(3, "echo"), "r", "s")},
		{"zproto, PARTIAL", frames(zproto(1, "echo"), "a"), part, frames(zproto(2, "echo"), "r", "s")},
		{"a client has no PONG", frames("MDPC02", "\x01", "echo", "a"), Message{Command: Pong}, nil},
	} {
		var m Message
		before := string(packed(c.to))
		o, err := Read(BackPort, c.to, AllDialects, &m)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got, _ := Append(nil, []byte("kept"), &o, &c.m)
		if !reflect.DeepEqual(packed(got), packed(c.want)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if string(packed(c.to)) != before {
			t.Errorf("%s: what the peer sent was written to", c.name)
		}
	}
}

// TestReadRefuses: what is nearly a message of some dialect, and whether its
// sender can be told.
func TestReadRefuses(t *testing.T) {
	answerable, worker := true, true
	for _, c := range []struct {
		name       string
		at         Port
		in         [][]byte
		speaks     Dialects
		word       string
		worker     bool
		answerable bool
	}{
		{"no frames", FrontPort, nil, AllDialects, "no frames", false, false},
		{"MDPC03", FrontPort, frames("", "MDPC03", "echo", "x"), AllDialects, "nearly a header", false, false},
		{"MDPX01", BackPort, frames("", "MDPX01", "echo", "x"), AllDialects, "nearly a header", false, false},
		{"wrong case", FrontPort, frames("", "mdpc01", "echo", "x"), AllDialects, "nearly a header", false, false},
		{"0.1 without the empty frame", FrontPort, frames("MDPC01", "echo", "x"), AllDialects, "no empty frame before", false, false},
		{"no service", FrontPort, frames("", "MDPC01"), AllDialects, "nothing behind", false, false},
		{"no body", FrontPort, frames("", "MDPC01", "echo"), AllDialects, "and a body", false, false},
		{"empty service", FrontPort, frames("", "MDPC01", "", "x"), AllDialects, "empty", false, answerable},
		{"0.2 with the wrong command", FrontPort, frames("MDPC02", "\x03", "echo", "x"), AllDialects, "REQUEST", false, false},
		{"0.2 with an empty one", FrontPort, frames("MDPC02", "", "echo", "x"), AllDialects, "REQUEST", false, false},
		{"0.2 without a command, and no body", FrontPort, frames("MDPC02", "echo"), AllDialects, "and a body", false, false},
		{"zproto without a body", FrontPort, frames(zproto(1, "echo")), AllDialects, "and a body", false, answerable},
		{"zproto without a service", FrontPort, frames(zproto(1, ""), "x"), AllDialects, "empty", false, answerable},
		{"zproto cut short", FrontPort, frames(zproto(1, "echo")[:14], "x"), AllDialects, "zproto", false, false},
		{"zproto, another message", FrontPort, frames(zproto(2, "echo"), "x"), AllDialects, "zproto", false, false},
		{"too many frames", FrontPort, append(frames("", "MDPC01", "echo"), make([][]byte, 1025)...), AllDialects, "1024", false, false},
		{"READY without a service", BackPort, frames("", "MDPW01", "\x01"), AllDialects, "service name", worker, answerable},
		{"READY with two", BackPort, frames("MDPW02", "\x01", "a", "b"), AllDialects, "service name", worker, answerable},
		{"READY with an empty one", BackPort, frames("MDPW02", "\x01", ""), AllDialects, "empty", worker, answerable},
		{"a worker's unknown command", BackPort, frames("MDPW02", "\x07"), AllDialects, "command", worker, answerable},
		{"a worker's long command", BackPort, frames("MDPW02", "READY"), AllDialects, "one byte", worker, answerable},
		{"0.1 has no FINAL", BackPort, frames("", "MDPW01", "\x04", address(), "", "r"), AllDialects, "one frame", worker, answerable},
		{"reply without an address", BackPort, frames("", "MDPW01", "\x03", "", "r"), AllDialects, "address", worker, answerable},
		{"reply to a made-up address", BackPort, frames("", "MDPW01", "\x03", "someone", "", "r"), AllDialects, "given", worker, answerable},
		{"reply of an address alone", BackPort, frames("", "MDPW01", "\x03", address()), AllDialects, "empty frame", worker, answerable},
		{"reply of too many frames", BackPort, append(frames("", "MDPW01", "\x03", address(), ""), make([][]byte, 1025)...), AllDialects, "1024", worker, answerable},
		{"a worker behind a proxy", BackPort, frames("id", "", "MDPW01", "\x04"), AllDialects, "itself", worker, false},
		{"0.2 is not spoken", BackPort, frames("MDPW02", "\x05"), AllDialects &^ one(MDP02), "not served", worker, false},
		{"a plain client at the back", BackPort, frames("", "hello"), AllDialects, "frontend", false, false},
		{"a PRV1 worker at the front", FrontPort, encode(BackIn, Message{Command: Ready, Link: 1, Seq: 1, Instance: 1}), AllDialects, "backend", false, false},
		{"plain is not spoken", FrontPort, frames("", "hello"), one(PRV1), "plain clients", false, answerable},
	} {
		if c.at == BackPort && !c.worker {
			c.answerable = false
		}
		var m Message
		o, err := Read(c.at, c.in, c.speaks, &m)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Reason, c.word) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.word)
			continue
		}
		if o.Worker != c.worker || (o.Envelope != nil) != c.answerable && c.at == FrontPort {
			t.Errorf("%s: came as %+v", c.name, o)
		}
	}
}

// TestNearlyMDP: what nearly is a header is never a plain body, whatever is wrong
// with it; and what is none is one.
func TestNearlyMDP(t *testing.T) {
	for _, header := range []string{"MDPC03", "MDPC0X", "MDPCX1", "MDPX01", "mdpc01", "MDPW00", "MDPC1", "MDPC001", "MDPC0.2", "MDPC01\x00", "MDPC-1", "Mdpw02"} {
		for _, in := range [][][]byte{frames("", header, "echo", "x"), frames(header, "echo", "x"), frames("a", "", header, "echo", "x")} {
			for _, at := range []Port{FrontPort, BackPort} {
				var m Message
				if o, err := Read(at, in, AllDialects, &m); err == nil || !strings.Contains(err.Error(), "MDPC01") {
					t.Errorf("%q: %+v, %v", in, o, err)
				}
			}
		}
	}
	for _, body := range []string{"MDP", "MDPC", "MDPCXY", "MDPlan", "MDPool1", "MDP-01", "MDPC010203", "xMDPC01", "MDQC01", "\xaa\xa4", "MDP001"} {
		var m Message
		o, err := Read(FrontPort, frames("", body), AllDialects, &m)
		if err != nil || o.Dialect != Plain || len(m.Body) != 1 || string(m.Body[0]) != body {
			t.Errorf("%q: %+v, %v", body, o, err)
		}
	}
}

// TestForcedPlain: a body that looks like a header, where its dialect is not
// spoken, is the body of a plain request.
func TestForcedPlain(t *testing.T) {
	header := encode(FrontIn, Message{Command: Ping})[0]
	for _, body := range []string{"MDPC01", "MDPX99", string(header)} {
		var m Message
		o, err := Read(FrontPort, frames("", body, "x"), one(Plain)|one(PPP), &m)
		if err != nil || o.Dialect != Plain || m.Command != Request || len(m.Body) != 2 || string(m.Body[0]) != body {
			t.Errorf("%q: %+v, %v, %+v", body, o, err, m)
		}
		if o, err := Read(FrontPort, frames("", body, "x"), AllDialects, &m); err == nil && o.Dialect == Plain {
			t.Errorf("%q is taken for a plain body although its dialect is spoken", body)
		}
	}
}

func TestParseDialects(t *testing.T) {
	if all, bad := ParseDialects(DialectNames()); all != AllDialects || bad != "" {
		t.Errorf("%b, %q", all, bad)
	}
	if set, bad := ParseDialects([]string{"PRV1", " mdp02"}); set != one(PRV1)|one(MDP02) || bad != "" {
		t.Errorf("%b, %q", set, bad)
	}
	if set, bad := ParseDialects([]string{"ppp", "mdp03"}); set != 0 || bad != "mdp03" {
		t.Errorf("%b, %q", set, bad)
	}
}

func TestErrorBody(t *testing.T) {
	m := Message{Command: Reply, Code: Expired, Flags: Flags(0).WithCertainty(NotStarted), Meta: ErrorMeta("the deadline passed")}
	if b := string(ErrorBody(&m)); b != "PRIVATEER-ERROR EXPIRED not-started: the deadline passed" {
		t.Error(b)
	}
}

// FuzzRead: nothing makes Read panic or write into its input, and every message
// is of one dialect: leaving others out of the set changes nothing, and without
// its own it is refused, or the plain request that it then is.
func FuzzRead(f *testing.F) {
	for _, fs := range [][][]byte{
		frames("", "MDPC01", "echo", "a"), frames("MDPC02", "\x01", "echo", "a"), frames("", "MDPW01", "\x01", "echo"),
		frames("MDPW02", "\x03", address(), "", "r"), frames("MDPW02", "\x05"), frames(address(), "", "MDPC01", "echo", "a"),
		frames("\x01"), frames("\x02"), frames(address(), "", "r"), frames("", "hello"), frames("abcd", "", "hello"),
		frames("", "\x01"), frames("", address(), "", "r"), frames("request #1"),
		frames("", "MDPC03", "x"), frames("MDPC02", "\x02", "echo", "a"), frames("MDPC02", "echo", "a"), frames(zproto(1, "echo"), "a"), frames("MDPW02", "\x04", "", "", "x"), {}, {nil},
		append(frames(""), encode(FrontIn, Message{Command: Ping})...), encode(BackIn, Message{Command: Heartbeat, Link: 1, Seq: 2}),
	} {
		f.Add(uint8(0), packed(fs))
		f.Add(uint8(1), packed(fs))
	}
	f.Fuzz(func(t *testing.T, port uint8, b []byte) {
		at, fs := Port(port%2), unpacked(b)
		before := packed(fs)
		var m Message
		whole, err := Read(at, fs, AllDialects, &m)
		if string(before) != string(packed(fs)) {
			t.Fatal("Read wrote into its input")
		}
		if err == nil && m.Command == 0 {
			t.Fatal("taken, but it says nothing")
		}
		for set := range Dialects(AllDialects + 1) {
			o, e := Read(at, fs, set, &m)
			switch {
			case err != nil && e == nil && o.Dialect != Plain:
				t.Fatalf("refused, but taken for %v where only %b is spoken", o.Dialect, set)
			case err == nil && set.Has(whole.Dialect) && (e != nil || o.Dialect != whole.Dialect || o.Worker != whole.Worker):
				t.Fatalf("%v, but %v (%v) where %b is spoken", whole.Dialect, o.Dialect, e, set)
			case err == nil && !set.Has(whole.Dialect) && e == nil && o.Dialect != Plain:
				t.Fatalf("%v, but also %v", whole.Dialect, o.Dialect)
			}
		}
		if err == nil {
			Append(nil, nil, &whole, &Message{Command: Reply, Code: OK, ID: idA, Number: 1, Epoch: 1})
		}
	})
}
