package zmqlink_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/internal/link/zmqlink"
	"github.com/privateer-mq/privateer/internal/link/zmtplink"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// A conversation is what peers write to a Router, byte by byte. Each ends with a
// message "end" of a peer of its own, which shows that the others were read.
type conversation struct {
	name  string
	heard int // messages
	peers []peerBytes
}

// peerBytes is one connection: pieces that are written one after the other.
type peerBytes struct {
	pieces   [][]byte
	messages int    // the last so many are sent when the handshake is done
	after    string // a message that must have come before this one connects
	closes   bool   // when all is written
}

func greeting(minor byte, mechanism string) []byte {
	b := make([]byte, 64)
	b[0], b[9], b[10], b[11] = 0xff, 0x7f, 3, minor
	copy(b[12:32], mechanism)
	return b
}

func readyCommand(properties ...string) []byte {
	body := []byte("\x05READY")
	for i := 0; i+1 < len(properties); i += 2 {
		body = append(append(body, byte(len(properties[i]))), properties[i]...)
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(properties[i+1]))), properties[i+1]...)
	}
	return append([]byte{4, byte(len(body))}, body...)
}

func message(frames ...string) (b []byte) {
	for i, f := range frames {
		flags := byte(zmtp.More)
		if i == len(frames)-1 {
			flags = zmtp.Last
		}
		b = append(zmtp.AppendHeader(b, flags, len(f)), f...)
	}
	return b
}

// peer is a DEALER with a routing id that says all of pieces.
func peer(id string, pieces ...[]byte) peerBytes {
	return raw(append([][]byte{greeting(1, "NULL"), readyCommand("Socket-Type", "DEALER", "Identity", id)}, pieces...), len(pieces))
}

// raw is a peer that says just that.
func raw(pieces [][]byte, messages int) peerBytes {
	return peerBytes{pieces: pieces, messages: messages}
}

// split cuts what a peer says into single bytes.
func split(p peerBytes) peerBytes {
	var single [][]byte
	messages := 0
	for n, piece := range p.pieces {
		for i := range piece {
			single = append(single, piece[i:i+1])
			if n >= len(p.pieces)-p.messages {
				messages++
			}
		}
	}
	return raw(single, messages)
}

func conversations() []conversation {
	long := strings.Repeat("l", 300)
	longFlag := append(binary.BigEndian.AppendUint64([]byte{2}, 5), "short"...) // the long form of a short frame
	closing := peer("a", message("whole"), message("cut", long)[:50])
	closing.closes = true
	second := peer("a", message("never heard"))
	second.after = "first"
	return []conversation{
		{"messages of all shapes", 5, []peerBytes{peer("a", message("x"), message("", "", "y"), message(""), message(long, long), longFlag)}},
		{"several messages at once", 3, []peerBytes{peer("a", slices.Concat(message("x"), message("y", "z"), message("w")))}},
		{"byte by byte", 2, []peerBytes{split(peer("a", message("x", long), message("", "y")))}},
		{"ZMTP 3.0", 1, []peerBytes{raw([][]byte{greeting(0, "NULL"), readyCommand("Socket-Type", "DEALER", "Identity", "a"), message("x")}, 1)}},
		{"a version that is not there yet", 1, []peerBytes{raw([][]byte{slices.Concat([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 4, 9}, greeting(0, "NULL")[12:]),
			readyCommand("Socket-Type", "DEALER", "Identity", "a"), message("x")}, 1)}},
		{"ZMTP 2.0", 1, []peerBytes{raw([][]byte{[]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f"), []byte("\x01\x05"), []byte("\x00\x01a"), message("x", long)}, 1)}},
		{"REQ", 1, []peerBytes{raw([][]byte{greeting(1, "NULL"), readyCommand("Socket-Type", "REQ", "Identity", "a"), message("", "ask")}, 1)}},
		{"more properties, one in lower case", 1, []peerBytes{raw([][]byte{greeting(1, "NULL"),
			readyCommand("X-Other", long[:100], "socket-type", "DEALER", "Identity", "a", "empty", ""), message("x")}, 1)}},
		{"commands between messages", 3, []peerBytes{peer("a", message("x"), zmtp.AppendCommand(nil, "PING", []byte{0, 9}, []byte("context")),
			message("y"), zmtp.AppendCommand(nil, "PONG"), message("z"))}},
		{"cut off in the middle", 1, []peerBytes{closing}},
		{"a frame that is too large", 1, []peerBytes{peer("a", message("x"), message(strings.Repeat("o", 2000)), message("after"))}},
		{"one routing id twice", 2, []peerBytes{peer("a", message("first"), message("more")), second}},
		{"the wrong kind of socket", 0, []peerBytes{raw([][]byte{greeting(1, "NULL"), readyCommand("Socket-Type", "SUB", "Identity", "a"), message("x")}, 1)}},
		{"another mechanism", 0, []peerBytes{raw([][]byte{greeting(1, "PLAIN"), readyCommand("Socket-Type", "DEALER", "Identity", "a"), message("x")}, 1)}},
		{"no ZMTP at all", 0, []peerBytes{raw([][]byte{[]byte("GET / HTTP/1.1\r\nHost: here\r\n\r\n"), message("x")}, 1)}},
	}
}

// One and the same conversation means the same to libzmq's ROUTER and to ours.
// Where they differ is in what the peer sees, not in what is read: of one routing
// id twice libzmq keeps the second connection and never hears it, ours ends it. And
// libzmq may lose what comes with a READY, before its own has left: so every peer
// waits for that; and it knows Identity by exactly that name, though by RFC 37 the
// case of a name means nothing. What libzmq does not survive is not said here.
func TestSameConversations(t *testing.T) {
	for _, c := range conversations() {
		t.Run(c.name, func(t *testing.T) {
			theirs := hear(t, zmqlink.New, c)
			ours := hear(t, func() (link.Host, error) { return zmtplink.New(nil), nil }, c)
			if !slices.Equal(theirs, ours) || len(ours) != c.heard {
				t.Fatalf("libzmq has read\n%q\nours\n%q\nwant %d messages", theirs, ours, c.heard)
			}
		})
	}
}

// Where they differ in what is read, it is said here what each of them reads, so
// that neither changes unseen: ours hears nothing more from a peer that breaks RFC 37.
func TestDifferentConversations(t *testing.T) {
	for _, c := range []struct {
		conversation
		theirs, ours []string
	}{
		// libzmq does not look whether a READY says what kind of socket it comes from.
		{conversation{name: "READY without Socket-Type", peers: []peerBytes{raw([][]byte{greeting(1, "NULL"), readyCommand("Identity", "a"), message("x")}, 1)}},
			[]string{`a["x"]`}, nil},
		// libzmq skips such a command, ours ends the connection.
		{conversation{name: "a command without a name", peers: []peerBytes{peer("a", message("x"), []byte{4, 1, 0}, message("y"))}},
			[]string{`a["x"]`, `a["y"]`}, []string{`a["x"]`}},
		// Both end the connection.
		{conversation{name: "another command before READY", peers: []peerBytes{raw([][]byte{greeting(1, "NULL"), zmtp.AppendCommand(nil, "PING", []byte{0, 0}),
			readyCommand("Socket-Type", "DEALER", "Identity", "a"), message("x")}, 1)}},
			nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			theirs := hear(t, zmqlink.New, c.conversation)
			ours := hear(t, func() (link.Host, error) { return zmtplink.New(nil), nil }, c.conversation)
			if !slices.Equal(theirs, c.theirs) || !slices.Equal(ours, c.ours) {
				t.Fatalf("libzmq has read\n%q, want %q\nours\n%q, want %q", theirs, c.theirs, ours, c.ours)
			}
		})
	}
}

// awaitReady reads until the Router's half of the handshake has come, or the
// connection has ended.
func awaitReady(nc net.Conn, shaken chan<- struct{}) {
	defer close(shaken)
	var got []byte
	for b := make([]byte, 256); ; {
		n, err := nc.Read(b)
		got = append(got, b[:n]...)
		old := len(got) >= 14 && len(got) < 64 && got[10] == 1 // ZMTP 2.0: greeting, and the frame of its routing id
		if err != nil || old || bytes.Contains(got, []byte("\x05READY")) {
			return
		}
	}
}

// attend lets the Router do its part of a handshake. Who is refused need not hear of it.
func attend(t *testing.T, router *linktest.End, shaken <-chan struct{}) {
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		select {
		case <-shaken:
			return
		default:
			if err := router.Host.Wait(time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// hear plays a conversation to a Router, and returns what that has read.
func hear(t *testing.T, newHost func() (link.Host, error), c conversation) (heard []string) {
	k := linktest.Kind{Name: "tcp", Free: freeTCP, Bind: newHost, Connect: newHost}
	router := linktest.Open(t, k, freeTCP(t), link.Options{Role: link.Router, FrameBytesMax: 1000})
	said := func(text string) func() bool {
		return func() bool {
			return slices.ContainsFunc(router.Data(), func(m link.Message) bool { return string(m.Frames[len(m.Frames)-1]) == text })
		}
	}
	for _, p := range append(c.peers, peer("end", message("end"))) {
		if p.after != "" {
			linktest.Until(t, p.after, said(p.after), router)
		}
		nc, err := net.Dial("tcp", strings.TrimPrefix(router.Link.Addr(), "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		shaken := make(chan struct{})
		go awaitReady(nc, shaken)
		for i, piece := range p.pieces {
			if i == len(p.pieces)-p.messages {
				attend(t, router, shaken)
			}
			if _, err := nc.Write(piece); err != nil {
				break // it was cut off
			}
			if err := router.Host.Wait(time.Millisecond); err != nil {
				t.Fatal(err)
			}
			router.Recv(100)
		}
		if p.closes {
			_ = nc.Close()
		}
	}
	linktest.Until(t, "the end", said("end"), router)
	for range 20 { // what is still under way
		if err := router.Host.Wait(5 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
		router.Recv(100)
	}
	for _, m := range router.Data() {
		if string(m.Peer) != "end" {
			heard = append(heard, fmt.Sprintf("%s%.10q", m.Peer, m.Frames))
		}
	}
	return heard
}
