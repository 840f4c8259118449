package zmtp

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// greeting3 is what a peer sends before its READY.
func greeting3(minor byte, mechanism string) []byte {
	b := append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, minor}, make([]byte, 52)...)
	copy(b[12:], mechanism)
	return b
}

func ready(socketType, identity string, more ...string) []byte {
	m := appendProperty(nil, "socket-type", []byte(socketType))
	m = appendProperty(m, "IDENTITY", []byte(identity))
	for i := 0; i+1 < len(more); i += 2 {
		m = appendProperty(m, more[i], []byte(more[i+1]))
	}
	return AppendCommand(nil, "READY", m)
}

// greeting2 is all that a peer of ZMTP 2.0 sends before its messages.
func greeting2(t SocketType, identity string) []byte {
	b := []byte{0xff, 0, 0, 0, 0, 0, 0, 0, byte(len(identity) + 1), 0x7f, 1, byte(t), 0, byte(len(identity))}
	return append(b, identity...)
}

type greetingCase struct {
	name  string
	ours  SocketType
	bytes []byte
	err   string // or the peer:
	peer  Peer
	tells string // is in what was sent
}

func greetings() []greetingCase {
	v31, v30, v20 := Revision{3, 1}, Revision{3, 0}, Revision{2, 0}
	g := greeting3(1, "NULL")
	id := strings.Repeat("i", 255)
	with := func(parts ...[]byte) []byte { return append(bytes.Clone(g), bytes.Join(parts, nil)...) }
	cut := func(b []byte, n int) []byte { return b[:len(b)-n] }
	return []greetingCase{
		{"3.1", Router, with(ready("DEALER", "me")), "", Peer{v31, Dealer, []byte("me"), "NULL"}, "ROUTER"},
		{"3.0", Router, append(greeting3(0, "NULL"), ready("REQ", "")...), "", Peer{v30, Req, nil, "NULL"}, "READY"},
		{"4.7", Router, append(append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 4, 7}, greeting3(1, "NULL")[12:]...), ready("ROUTER", id)...), "",
			Peer{v31, Router, []byte(id), "NULL"}, "READY"},
		{"a REP hears DEALER", Router, with(ready("REP", "")), "", Peer{v31, Rep, nil, "NULL"}, "DEALER"},
		{"other properties", Router, with(ready("DEALER", "x", "Resource", "r", "X-more", strings.Repeat("y", 500))), "", Peer{v31, Dealer, []byte("x"), "NULL"}, ""},
		{"a dealer takes no notice of identities", Dealer, with(ready("ROUTER", "\x00x")), "", Peer{v31, Router, nil, "NULL"}, ""},
		{"2.0", Router, greeting2(Dealer, "old"), "", Peer{v20, Dealer, []byte("old"), "NULL"}, "\x7f\x03\x06\x00\x00"},
		{"2.0 REP", Router, greeting2(Rep, ""), "", Peer{v20, Rep, nil, "NULL"}, "\x7f\x03\x05\x00\x00"},
		{"2.0 PUB", Router, greeting2(Pub, ""), "byte 11: a PUB cannot talk to a ROUTER", Peer{}, ""},
		{"2.0 with flags", Router, append(cut(greeting2(Dealer, ""), 2), 1, 0), "byte 12: flags 0x01", Peer{}, ""},
		{"2.0 zero id", Router, greeting2(Dealer, "\x00x"), "begins with a zero byte", Peer{}, ""},
		{"1.0", Router, []byte("\x01\x00"), "byte 0: a greeting of ZMTP 1.0", Peer{}, ""},
		{"1.0 with an id", Router, []byte("\x05\x00abcd"), "ZMTP 1.0", Peer{}, ""},
		{"1.0 with a long id", Router, []byte("\xff\x00\x00\x00\x00\x00\x00\x01\x00\x00"), "byte 9: a greeting of ZMTP 1.0", Peer{}, ""},
		{"revision 0", Router, []byte("\xff\x00\x00\x00\x00\x00\x00\x01\x00\x7f\x00"), "revision 0 is not spoken", Peer{}, ""},
		{"HTTP", Router, []byte("GET / HTTP/1.1\r\n"), `byte 0: no greeting of ZMTP: it begins with "GE`, Peer{}, ""},
		{"zeroes", Router, make([]byte, 64), "no greeting of ZMTP", Peer{}, ""},
		{"another mechanism", Router, greeting3(1, "CURVE"), `byte 12: the peer's mechanism is "CURVE", and this side's NULL`, Peer{}, ""},
		{"PUB", Router, with(ready("PUB", "")), `a "PUB" cannot talk to a ROUTER`, Peer{}, "ERROR"},
		{"no type", Router, with(AppendCommand(nil, "READY")), `a "" cannot talk to a ROUTER`, Peer{}, "ERROR"},
		{"an unknown type", Router, with(ready(strings.Repeat("X", 500), "")), `cannot talk to a ROUTER`, Peer{}, "ERROR"},
		{"zero id", Router, with(ready("DEALER", "\x00\x00\x00\x00\x01")), "byte 66: a routing id that begins with a zero byte", Peer{}, "ERROR"},
		{"long id", Router, with(ready("DEALER", id+"i")), "a routing id of 256 bytes: at most 255", Peer{}, "ERROR"},
		{"a message", Router, with(message("x")), "byte 64: flags 0x00 where a command", Peer{}, ""},
		{"another command", Router, with(AppendCommand(nil, "HELLO")), `command "HELLO" within a NULL handshake`, Peer{}, "ERROR"},
		{"ERROR", Dealer, with(AppendCommand(nil, "ERROR", []byte("\x03no!"))), `the peer refuses: "no!"`, Peer{}, ""},
		{"ERROR without reason", Dealer, with(AppendCommand(nil, "ERROR")), `the peer refuses: without a reason`, Peer{}, ""},
		{"a large command", Router, with([]byte{flagCommand | flagLong}, binary.BigEndian.AppendUint64(nil, 2049)), "a command of 2049 bytes", Peer{}, ""},
		{"a nameless command", Router, with([]byte{flagCommand, 0}), "a command without a name", Peer{}, ""},
		{"metadata cut short", Router, with(AppendCommand(nil, "READY", cut(appendProperty(nil, "Socket-Type", []byte("DEALER")), 1))), "property 1 of the metadata claims 6 bytes of 5", Peer{}, "ERROR"},
		{"metadata without a value", Router, with(AppendCommand(nil, "READY", []byte("\x0bSocket-Type\x00"))), "property 1 of the metadata is cut short", Peer{}, "ERROR"},
		{"many properties", Router, with(AppendCommand(nil, "READY", bytes.Repeat(appendProperty(nil, "a", nil), 65))), "more than 64 properties", Peer{}, "ERROR"},
	}
}

func TestHandshake(t *testing.T) {
	for _, c := range greetings() {
		for _, step := range []int{1, 7, 1 << 20} {
			h := NewHandshake(Config{Type: c.ours, Connects: c.ours == Dealer, Mechanism: Null{}})
			sent := h.Output()
			var err error
			for b := c.bytes; len(b) > 0 && err == nil; b = b[min(step, len(b)):] {
				if h.Done() {
					t.Fatalf("%s: done too early", c.name)
				}
				_, err = h.Feed(b[:min(step, len(b))])
				sent = append(sent, h.Output()...)
			}
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%s by %d: error %v, want %q", c.name, step, err, c.err)
				}
			} else if p := h.Peer(); err != nil || !h.Done() || p.Revision != c.peer.Revision || p.Type != c.peer.Type || !bytes.Equal(p.Identity, c.peer.Identity) || p.Mechanism != "NULL" {
				t.Errorf("%s by %d: done %v with %+v (%v), want %+v", c.name, step, h.Done(), p, err, c.peer)
			}
			if !bytes.Contains(sent, []byte(c.tells)) {
				t.Errorf("%s by %d: sent %q, want %q in it", c.name, step, sent, c.tells)
			}
		}
	}
}

// Two sides of this package, byte by byte and at once.
func TestHandshakeBothSides(t *testing.T) {
	for _, step := range []int{1, 1000} {
		router := NewHandshake(Config{Type: Router, Mechanism: Null{}})
		dealer := NewHandshake(Config{Type: Dealer, Identity: []byte("d"), Connects: true, Mechanism: Null{}})
		toRouter, toDealer := dealer.Output(), router.Output()
		for range 1000 {
			var errs [2]error
			n, m := min(step, len(toRouter)), min(step, len(toDealer))
			if n > 0 {
				_, errs[0] = router.Feed(toRouter[:n])
			}
			if m > 0 {
				_, errs[1] = dealer.Feed(toDealer[:m])
			}
			if errs[0] != nil || errs[1] != nil {
				t.Fatal(errs)
			}
			toRouter, toDealer = append(toRouter[n:], dealer.Output()...), append(toDealer[m:], router.Output()...)
		}
		if r, d := router.Peer(), dealer.Peer(); !router.Done() || !dealer.Done() || string(r.Identity) != "d" || d.Type != Router || d.Revision != (Revision{3, 1}) {
			t.Fatalf("router: %v %+v; dealer: %v %+v", router.Done(), r, dealer.Done(), d)
		}
	}
}

// A peer that connects need not hear anything before it has said all; one that
// binds says no more than a peer of ZMTP 2.0 can read.
func TestWhoSpeaksFirst(t *testing.T) {
	if out := NewHandshake(Config{Type: Router, Mechanism: Null{}}).Output(); len(out) != 11 {
		t.Errorf("the binding side begins with %d bytes", len(out))
	}
	if out := NewHandshake(Config{Type: Req, Connects: true, Mechanism: Null{}}).Output(); len(out) <= 64 || !bytes.Contains(out, []byte("READY")) {
		t.Errorf("the connecting side begins with %q", out)
	}
	h := NewHandshake(Config{Type: Dealer, Connects: true, Mechanism: Null{}})
	if _, err := h.Feed(greeting2(Router, "")); err == nil || !strings.Contains(err.Error(), "libzmq 4") {
		t.Errorf("a listener of ZMTP 2.0: %v", err)
	}
}

func TestHandshakeIsBounded(t *testing.T) {
	h := NewHandshake(Config{Type: Router, Mechanism: patient{}})
	stream := greeting3(1, "PATIENT")
	for range handshakeCommands + 1 {
		stream = append(stream, AppendCommand(nil, "ASK")...)
	}
	if _, err := h.Feed(stream); err == nil || !strings.Contains(err.Error(), "more than 8 commands") {
		t.Fatal(err)
	}
}

// patient is a mechanism that never ends.
type patient struct{ Null }

func (patient) Name() string { return "PATIENT" }

func (patient) Receive(dst []byte, _ string, _ []byte) (_, _ []byte, done bool, err error) {
	return AppendCommand(dst, "WAIT"), nil, false, nil
}
