package protocol

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
)

// tolerated are messages that a reader takes although no encoder of this
// version makes them: what it does not know, it skips.
func tolerated(t testing.TB) []vector {
	var out []vector
	for _, c := range []struct {
		name, meaning, from string
		change              func([][]byte) [][]byte
	}{
		{"unknown-field", "a hop-by-hop field of type 100 is skipped", "request", ext(100, 0, 2, 'h', 'i')},
		{"field-of-another-command", "a client's REQUEST has no lease and no credit: both are skipped", "request", ext(1, 0, 4, 0, 0, 0, 9, 5, 0, 1, 0)},
		{"fields-out-of-order", "hop-by-hop fields come in any order: retry-after before attempt", "reply-overloaded-not-started",
			func(f [][]byte) [][]byte {
				f[0] = append(append(append([]byte{}, f[0][:57]...), 4, 0, 4, 0, 0, 0, 250, 3, 0, 4, 0, 0, 0, 9), f[0][64:]...)
				return f
			}},
		{"field-of-zero", "a credit of 0 told in so many words", "heartbeat-worker-draining", ext(5, 0, 4, 0, 0, 0, 0)},
		{"empty-list", "an empty list frame is no list", "heartbeat-worker-draining", more(1)},
		{"unknown-flags", "flags that do not belong to the command are skipped", "ping", put(6, 0xff, 0xff)},
		{"unused-header-fields", "a PING uses neither id nor try nor epoch", "ping", put(8, bytes.Repeat([]byte{7}, 28)...)},
		{"padding-of-entries", "byte 29 of an entry is not read", "heartbeat-worker", putList(29, 0xff)},
		{"padding-of-acks", "bytes 33 to 35 of an acknowledgement are not read, and of byte 32 only the lowest bit", "ack", putList(32, 0xfe, 1, 2, 3)},
	} {
		s := find(t, c.from)
		fs := c.change(encode(s.d, s.m))
		var m Message
		if err := Parse(s.d, fs, &m); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		out = append(out, vector{Name: c.name, Meaning: c.meaning, Direction: directionNames[s.d], Frames: hexed(fs), Valid: true, Fields: fieldsTold(&m)})
	}
	return out
}

func writeVectors(t *testing.T) {
	var out []vector
	for _, s := range samples() {
		out = append(out, vector{Name: s.name, Meaning: s.meaning, Direction: directionNames[s.d], Frames: hexed(encode(s.d, s.m)),
			Valid: true, Canonical: true, Fields: fieldsTold(&s.m)})
	}
	out = append(out, tolerated(t)...)
	for _, c := range mistakes() {
		s := find(t, c.from)
		fs := c.change(encode(s.d, s.m))
		var m Message
		var e *Error
		if !errors.As(Parse(s.d, fs, &m), &e) {
			t.Fatalf("%s: taken", c.name)
		}
		if len(bytes.Join(fs, nil)) > vectorBytesMax {
			continue
		}
		out = append(out, vector{Name: "bad: " + c.name, Meaning: "refused: " + c.reason, Direction: directionNames[s.d],
			Frames: hexed(fs), Error: &vectorError{e.Kind.String(), e.Frame, e.Offset, e.Reason}})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(out); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("wrote %d vectors", len(out))
}

func hexed(fs [][]byte) []string {
	out := []string{}
	for _, f := range fs {
		out = append(out, hex.EncodeToString(f))
	}
	return out
}

func hex64(v uint64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", v)
}

// fieldsTold is m as the vector tells it.
func fieldsTold(m *Message) *vectorFields {
	f := &vectorFields{
		Command: m.Command.String(), Code: uint8(m.Code), Flags: uint16(m.Flags), Number: m.Number, Epoch: hex64(m.Epoch),
		RemainingMS: m.RemainingMS, SentMS: m.SentMS, Link: m.Link, Seq: m.Seq, Ack: m.Ack, Instance: hex64(m.Instance),
		InterestMS: m.InterestMS, Service: string(m.Service), LeaseMS: m.LeaseMS, Digest: hex64(m.Digest), Attempt: m.Attempt,
		RetryAfterMS: m.RetryAfterMS, Credit: m.Credit, Part: m.Part, WaitedMS: m.WaitedMS, RememberMax: m.RememberMax,
		Trace: m.Meta.Get(MetaTrace), ErrorText: m.Meta.Get(MetaErrorText), ErrorCode: m.Meta.Get(MetaErrorCode),
	}
	if !m.ID.IsZero() {
		f.ID = m.ID.String()
	}
	if v := m.Stream; v != (Stream{}) {
		f.Stream = &vectorStream{hex64(v.Run), v.Part, v.Grant}
	}
	for _, s := range m.Services {
		f.Services = append(f.Services, string(s))
	}
	if v := m.Served; v != nil {
		f.Served = &vectorServed{v.Workers, string(v.Nearest)}
	}
	if v := m.Info; v != nil {
		f.Label, f.Host, f.Process, f.Version = v.Label, v.Host, v.Process, v.Version
	}
	if i := m.Intervals; i != nil {
		f.Intervals = &vectorIntervals{i.HeartbeatMS, i.Liveness, i.ReconnectMaxMS, i.RetentionMS}
	}
	if l := m.Limits; l != nil {
		f.Limits = &vectorLimits{l.MessageBytesMax, l.FramesMax}
	}
	for k, v := range m.Meta.Headers() {
		f.Headers = map[string]string{k: v}
	}
	for _, e := range m.Entries {
		f.Entries = append(f.Entries, vectorEntry{e.ID.String(), e.Attempt, hex64(e.Epoch), e.State.String(), uint16(e.Flags), e.RemainingMS, e.ProgressMS, hex64(e.Digest)})
	}
	for _, a := range m.Acks {
		f.Acks = append(f.Acks, vectorAck{a.ID.String(), a.Attempt, hex64(a.Epoch), a.RemainingMS, a.Superseded})
	}
	if len(m.Body) > 0 {
		f.Body = hexed(m.Body)
	}
	return f
}
