package doctor

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// listen serves each connection in a goroutine, until the test ends.
func listen(t *testing.T, serve func(net.Conn)) (endpoint string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return "tcp://" + l.Addr().String()
}

// hold waits until the other side hangs up.
func hold(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// says sends text as soon as a first byte has come, and holds the connection.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 1))
		_, _ = io.WriteString(c, text)
		hold(c)
	}
}

// greetingAs is a greeting with another mechanism.
func greetingAs(mechanism string) string {
	g := ourGreeting()
	clear(g[mechanismAt : mechanismAt+mechanismBytes])
	copy(g[mechanismAt:], mechanism)
	return string(g)
}

// zmtp greets as a socket of that kind, and answers each message with those
// that answer returns. With beat it wants a PONG to its PING before it answers.
func zmtp(kind string, beat bool, answer func(frames [][]byte) [][][]byte) func(net.Conn) {
	return func(c net.Conn) {
		defer hold(c)
		w := wire{c, bufio.NewReader(c)}
		_ = w.write(ourGreeting())
		_, _ = io.ReadFull(w.r, make([]byte, greetingBytes))
		_ = w.sendCommand("READY", appendProperty(nil, "Socket-Type", kind))
		end := time.Now().Add(time.Minute)
		if name, data, err := w.command(end); err != nil || name != "READY" || properties(data)["socket-type"] != "DEALER" {
			return
		}
		if beat {
			_ = w.sendCommand("PING", []byte{0, 10, 'x'})
		}
		for first := true; ; first = false {
			frames, err := w.message(end)
			if err != nil {
				return
			}
			if first && beat {
				if name, data, err := w.command(end); err != nil || name != "PONG" || string(data) != "x" {
					return
				}
			}
			for _, m := range answer(frames) {
				_ = w.send(m...)
			}
		}
	}
}

// A fakeFront answers as the front of a broker.
type fakeFront struct {
	beat  bool
	pong  protocol.Flags
	mmi   string                                  // answer of mmi.service
	reply func(m *protocol.Message) protocol.Code // to a request; nil: none
}

func (f fakeFront) serve(c net.Conn) {
	zmtp("ROUTER", f.beat, func(frames [][]byte) [][][]byte {
		_, content, ok := protocol.SplitEnvelope(frames)
		var m protocol.Message
		if !ok || protocol.Parse(protocol.FrontIn, content, &m) != nil {
			return nil
		}
		limits := protocol.Limits{MessageBytesMax: 1 << 20, FramesMax: 1024}
		out := protocol.Message{Command: protocol.Reply, ID: m.ID, Number: m.Number, Epoch: 7, Instance: m.Instance}
		switch {
		case m.Command == protocol.Ping:
			out.Command, out.Flags, out.Limits = protocol.Pong, f.pong, &limits
		case string(m.Service) == "mmi.service":
			out.Code, out.Flags, out.Body = protocol.OK, out.Flags.WithCertainty(protocol.Ran), [][]byte{[]byte(f.mmi)}
		case f.reply == nil || !m.Flags.Has(protocol.NoWait) || len(m.Body) != 1 || len(m.Body[0]) != 0:
			return nil
		default:
			certainty := protocol.NotStarted
			if out.Code = f.reply(&m); out.Code == protocol.OK || out.Code == protocol.Failed {
				certainty = protocol.Ran
			}
			out.Attempt, out.Flags = 1, out.Flags.WithCertainty(certainty)
		}
		answer, _ := protocol.AppendFrames([][]byte{{}}, nil, protocol.FrontOut, &out)
		return [][][]byte{answer}
	})(c)
}

func replies(code protocol.Code) func(*protocol.Message) protocol.Code {
	return func(*protocol.Message) protocol.Code { return code }
}

// fakeBack answers as the back of a broker does to a link that it does not
// know. It must hear nothing but HEARTBEAT, and what it cannot read.
func fakeBack(t *testing.T, reason protocol.Code) func(net.Conn) {
	return zmtp("ROUTER", false, func(frames [][]byte) [][][]byte {
		var m protocol.Message
		if protocol.Parse(protocol.BackIn, frames, &m) != nil {
			return nil
		}
		if m.Command != protocol.Heartbeat {
			t.Errorf("the back heard %v", m.Command)
		}
		out := protocol.Message{Command: protocol.Disconnect, Code: reason, Epoch: 7, Link: m.Link}
		answer, _ := protocol.AppendFrames(nil, nil, protocol.BackOut, &out)
		return [][][]byte{answer}
	})
}

// refusing answers PING as a broker of another version: in its own header, or
// with INVALID.
func refusing(version byte, code protocol.Code) func(net.Conn) {
	return zmtp("ROUTER", false, func(frames [][]byte) [][][]byte {
		out := protocol.Message{Command: protocol.Reply, Code: code, Flags: protocol.Flags(0).WithCertainty(protocol.NotStarted),
			Epoch: 7, Meta: protocol.ErrorMeta("version 1 is not spoken here")}
		answer, _ := protocol.AppendFrames([][]byte{{}}, nil, protocol.FrontOut, &out)
		answer[1][3] = version
		return [][][]byte{answer}
	})
}

// nameServer answers every question with that address, of IPv6, or with "no
// such name".
func nameServer(t *testing.T, six net.IP) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			end := 12
			for b[end] != 0 {
				end += 1 + int(b[end])
			}
			kind := binary.BigEndian.Uint16(b[end+1:])
			answer := append([]byte{b[0], b[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, b[12:min(end+5, n)]...)
			switch {
			case six == nil:
				answer[3] |= 3 // NXDOMAIN
			case kind == 28: // AAAA
				answer[7] = 1
				answer = append(append(answer, 0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16), six.To16()...)
			}
			_, _ = server.WriteTo(answer, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}
