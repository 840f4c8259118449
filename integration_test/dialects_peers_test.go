package integration

import (
	"slices"
	"testing"
	"time"
)

// silence is how long a test looks whether nothing comes.
const silence = 100 * time.Millisecond

// speak sends frames of text as one message.
func (p *peer) speak(frames ...string) {
	p.t.Helper()
	_, err := p.s.SendMessage(frames)
	p.must(err)
}

// listen waits for a message, as text.
func (p *peer) listen() []string {
	p.t.Helper()
	frames, ok := p.recv(patience)
	if !ok {
		p.t.Fatalf("nothing within %v", patience)
	}
	return asText(frames)
}

func asText(frames [][]byte) (text []string) {
	for _, f := range frames {
		text = append(text, string(f))
	}
	return text
}

// expect wants this to be the next message.
func (p *peer) expect(frames ...string) {
	p.t.Helper()
	if got := p.listen(); !slices.Equal(got, frames) {
		p.t.Fatalf("got %q, want %q", got, frames)
	}
}

// expectNothing wants no message to come.
func (p *peer) expectNothing() {
	p.t.Helper()
	if frames, ok := p.recv(silence); ok {
		p.t.Fatalf("got %q, want nothing", frames)
	}
}

// A version of Majordomo has frames before each command of a worker, and other
// numbers for the same commands.
type version struct {
	name                         string
	header                       []string
	final, heartbeat, disconnect string
	askFrames, replyFrames       []string // of a client, before the service
}

const mdReady, mdRequest, mdPartial = "\x01", "\x02", "\x03"

var (
	mdp01    = version{"0.1", []string{"", "MDPW01"}, "\x03", "\x04", "\x05", []string{"", "MDPC01"}, []string{"", "MDPC01"}}
	mdp02    = version{"0.2", []string{"MDPW02"}, "\x04", "\x05", "\x06", []string{"MDPC02", "\x01"}, []string{"MDPC02", "\x03"}}
	versions = []version{mdp01, mdp02}
)

// An mdWorker is a Majordomo worker played by hand.
type mdWorker struct {
	*peer
	version
}

func newMDWorker(t *testing.T, endpoint string, v version, service string) mdWorker {
	t.Helper()
	w := mdWorker{dial(t, dealer, endpoint), v}
	w.command(mdReady, service)
	return w
}

// command sends a command, and what belongs to it.
func (w mdWorker) command(command string, frames ...string) {
	w.t.Helper()
	w.speak(slices.Concat(w.header, []string{command}, frames)...)
}

// await waits for a command, skips heartbeats, and returns what comes with it.
func (w mdWorker) await(command string) []string {
	w.t.Helper()
	for {
		got, start := w.listen(), slices.Concat(w.header, []string{command})
		if len(got) >= len(start) && slices.Equal(got[:len(start)], start) {
			return got[len(start):]
		}
		if !slices.Equal(got, append(slices.Clone(w.header), w.heartbeat)) {
			w.t.Fatalf("got %q, want %q", got, start)
		}
	}
}

// takes waits for a request with that body, and returns the address for the reply.
func (w mdWorker) takes(body string) (address string) {
	w.t.Helper()
	got := w.await(mdRequest)
	if len(got) != 3 || got[1] != "" || got[2] != body {
		w.t.Fatalf("request %q, want [address] [] %q", got, body)
	}
	return got[0]
}

// mdAsk sends a request from a DEALER socket.
func (p *peer) mdAsk(v version, service string, body ...string) {
	p.t.Helper()
	p.speak(slices.Concat(v.askFrames, []string{service}, body)...)
}

func (p *peer) mdExpect(v version, service string, body ...string) {
	p.t.Helper()
	p.expect(slices.Concat(v.replyFrames, []string{service}, body)...)
}
