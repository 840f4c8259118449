package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
)

// The golden vectors hold this package, docs/protocol.md and programs in other
// languages together. They change only on purpose:
//
//	go test ./protocol -run TestVectors -update
var update = flag.Bool("update", false, "write testdata/vectors.json anew from the samples and mistakes of the tests")

const (
	vectorFile     = "testdata/vectors.json"
	vectorBytesMax = 20000 // larger mistakes are tested where they are made
)

// A vector is one message as bytes, and what a reader must make of it. Frames
// are hex; 64-bit numbers and opaque bytes are hex too, since not every
// language's JSON keeps 64 bits.
type vector struct {
	Name      string        `json:"name"`
	Meaning   string        `json:"meaning"`
	Direction string        `json:"direction"`
	Frames    []string      `json:"frames"`
	Valid     bool          `json:"valid"`
	Canonical bool          `json:"canonical,omitempty"` // an encoder makes exactly these bytes
	Fields    *vectorFields `json:"fields,omitempty"`
	Error     *vectorError  `json:"error,omitempty"`
}

type vectorError struct {
	Kind   string `json:"kind"`
	Frame  int    `json:"frame"`
	Offset int    `json:"offset"`
	Reason string `json:"reason"`
}

// vectorFields are the fields that are not zero. Which of the header's mean
// something in this command is told in docs/protocol.md.
type vectorFields struct {
	Command      string            `json:"command"`
	Code         uint8             `json:"code,omitempty"`
	Flags        uint16            `json:"flags,omitempty"`
	ID           string            `json:"id,omitempty"`
	Number       uint32            `json:"number,omitempty"`
	Epoch        string            `json:"epoch,omitempty"`
	RemainingMS  uint32            `json:"remaining_ms,omitempty"`
	SentMS       uint32            `json:"sent_ms,omitempty"`
	Link         uint32            `json:"link,omitempty"`
	Seq          uint32            `json:"seq,omitempty"`
	Ack          uint32            `json:"ack,omitempty"`
	Instance     string            `json:"instance,omitempty"`
	InterestMS   uint32            `json:"interest_ms,omitempty"`
	Service      string            `json:"service,omitempty"`
	LeaseMS      uint32            `json:"lease_ms,omitempty"`
	Digest       string            `json:"digest,omitempty"`
	Attempt      uint32            `json:"attempt,omitempty"`
	RetryAfterMS uint32            `json:"retry_after_ms,omitempty"`
	Credit       uint32            `json:"credit,omitempty"`
	Part         uint32            `json:"part,omitempty"`
	Stream       *vectorStream     `json:"stream,omitempty"`
	WaitedMS     uint32            `json:"waited_ms,omitempty"`
	Served       *vectorServed     `json:"served,omitempty"`
	Label        string            `json:"label,omitempty"`
	Host         string            `json:"host,omitempty"`
	Process      uint32            `json:"process,omitempty"`
	Version      string            `json:"version,omitempty"`
	RememberMax  uint32            `json:"remember_max,omitempty"`
	Services     []string          `json:"services,omitempty"`
	Intervals    *vectorIntervals  `json:"intervals,omitempty"`
	Limits       *vectorLimits     `json:"limits,omitempty"`
	Headers      map[string]string `json:"headers,omitempty"`
	Trace        string            `json:"trace,omitempty"`
	ErrorText    string            `json:"error_text,omitempty"`
	ErrorCode    string            `json:"error_code,omitempty"`
	Entries      []vectorEntry     `json:"entries,omitempty"`
	Acks         []vectorAck       `json:"acks,omitempty"`
	Body         []string          `json:"body,omitempty"`
}

type vectorServed struct {
	Workers uint32 `json:"workers"`
	Nearest string `json:"nearest,omitempty"`
}

type vectorStream struct {
	Run   string `json:"run"`
	Part  uint32 `json:"part"`
	Grant uint32 `json:"grant"`
}

type vectorIntervals struct {
	HeartbeatMS    uint32 `json:"heartbeat_ms"`
	Liveness       uint32 `json:"liveness"`
	ReconnectMaxMS uint32 `json:"reconnect_max_ms"`
	RetentionMS    uint32 `json:"retention_ms"`
}

type vectorLimits struct {
	MessageBytesMax uint64 `json:"message_bytes_max"`
	FramesMax       uint32 `json:"frames_max"`
}

type vectorEntry struct {
	ID          string `json:"id"`
	Attempt     uint32 `json:"attempt"`
	Epoch       string `json:"epoch"`
	State       string `json:"state"`
	Flags       uint16 `json:"flags"`
	RemainingMS uint32 `json:"remaining_ms"`
	ProgressMS  uint32 `json:"progress_ms"`
	Digest      string `json:"digest"`
}

type vectorAck struct {
	ID          string `json:"id"`
	Attempt     uint32 `json:"attempt"`
	Epoch       string `json:"epoch"`
	RemainingMS uint32 `json:"remaining_ms"`
	Superseded  bool   `json:"superseded"`
}

var directionNames = [...]string{"client-to-broker", "broker-to-client", "worker-to-broker", "broker-to-worker"}

func readVectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var out []vector
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func (v vector) direction(t testing.TB) Direction {
	for d, name := range directionNames {
		if v.Direction == name {
			return Direction(d)
		}
	}
	t.Fatalf("%s: direction %q", v.Name, v.Direction)
	return 0
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func u64(t testing.TB, s string) uint64 {
	t.Helper()
	if s == "" {
		return 0
	}
	return binary.BigEndian.Uint64(unhex(t, s))
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	kinds, valid, names := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, v := range readVectors(t) {
		if names[v.Name] || v.Meaning == "" {
			t.Errorf("%s: there twice, or without a meaning", v.Name)
		}
		names[v.Name] = true
		var fs [][]byte
		for _, f := range v.Frames {
			fs = append(fs, unhex(t, f))
		}
		var m Message
		err := Parse(v.direction(t), fs, &m)
		if !v.Valid {
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%s: taken", v.Name)
			} else if got := (vectorError{e.Kind.String(), e.Frame, e.Offset, e.Reason}); v.Error == nil || got != *v.Error {
				t.Errorf("%s: %+v, want %+v", v.Name, got, v.Error)
			} else {
				kinds[v.Error.Kind]++
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		valid[v.Direction+" "+v.Fields.Command]++
		want := v.message(t)
		same(t, v.Name, m, want)
		v.checkFixed(t, fs[0])
		if v.Canonical {
			if again := encode(v.direction(t), want); !bytes.Equal(bytes.Join(again, []byte("|")), bytes.Join(fs, []byte("|"))) {
				t.Errorf("%s: encoded again it is\n%x, not\n%x", v.Name, again, fs)
			}
		}
	}
	for _, p := range pairs() {
		if valid[directionNames[p.d]+" "+p.m.Command.String()] == 0 {
			t.Errorf("no vector for %s", p.name)
		}
	}
	for k := ErrFraming; k <= ErrLimit; k++ {
		if kinds[k.String()] == 0 {
			t.Errorf("no vector for the error %s", k)
		}
	}
	for _, s := range samples() {
		if !names[s.name] {
			t.Errorf("no vector %q; was -update forgotten?", s.name)
		}
	}
	for _, c := range mistakes() {
		if s := find(t, c.from); !names["bad: "+c.name] && len(bytes.Join(c.change(encode(s.d, s.m)), nil)) <= vectorBytesMax {
			t.Errorf("no vector \"bad: %s\"; was -update forgotten?", c.name)
		}
	}
}

// checkFixed reads the header by hand, so that Parse and AppendHeader cannot
// be wrong together.
func (v vector) checkFixed(t *testing.T, h []byte) {
	t.Helper()
	be, f := binary.BigEndian, v.Fields
	id, err := ID{}, error(nil)
	if f.ID != "" {
		id, err = ParseID(f.ID)
	}
	ok := err == nil && string(h[:4]) == "PRV1" && Command(h[4]).String() == f.Command && h[5] == f.Code &&
		be.Uint16(h[6:8]) == f.Flags && bytes.Equal(h[8:24], id[:]) && be.Uint32(h[24:28]) == f.Number &&
		be.Uint64(h[28:36]) == u64(t, f.Epoch) && be.Uint32(h[36:40]) == f.RemainingMS && be.Uint32(h[40:44]) == f.SentMS &&
		string(h[57:57+int(h[56])]) == f.Service
	if strings.Contains(v.Direction, "client") {
		ok = ok && be.Uint64(h[44:52]) == u64(t, f.Instance) && be.Uint32(h[52:56]) == f.InterestMS
	} else {
		ok = ok && be.Uint32(h[44:48]) == f.Link && be.Uint32(h[48:52]) == f.Seq && be.Uint32(h[52:56]) == f.Ack
	}
	if !ok {
		t.Errorf("%s: the header does not hold the fields that are told", v.Name)
	}
}

// message is what the vector's fields tell.
func (v vector) message(t testing.TB) Message {
	f, m := v.Fields, Message{}
	for c := Ping; c <= Disconnect; c++ {
		if c.String() == f.Command {
			m.Command = c
		}
	}
	m.Code, m.Flags, m.Number, m.Epoch = Code(f.Code), Flags(f.Flags), f.Number, u64(t, f.Epoch)
	m.RemainingMS, m.SentMS, m.Link, m.Seq, m.Ack = f.RemainingMS, f.SentMS, f.Link, f.Seq, f.Ack
	m.Instance, m.InterestMS, m.Service = u64(t, f.Instance), f.InterestMS, []byte(f.Service)
	m.LeaseMS, m.Digest, m.Attempt, m.RetryAfterMS = f.LeaseMS, u64(t, f.Digest), f.Attempt, f.RetryAfterMS
	m.Credit, m.Part, m.WaitedMS, m.RememberMax = f.Credit, f.Part, f.WaitedMS, f.RememberMax
	if s := f.Served; s != nil {
		m.Served = &Served{Workers: s.Workers}
		if s.Nearest != "" {
			m.Served.Nearest = []byte(s.Nearest)
		}
	}
	if i := (WorkerInfo{f.Label, f.Host, f.Process, f.Version}); i != (WorkerInfo{}) {
		m.Info = &i
	}
	if f.ID != "" {
		m.ID = mustID(t, f.ID)
	}
	if s := f.Stream; s != nil {
		m.Stream = Stream{u64(t, s.Run), s.Part, s.Grant}
	}
	for _, s := range f.Services {
		m.Services = append(m.Services, []byte(s))
	}
	if i := f.Intervals; i != nil {
		m.Intervals = &Intervals{i.HeartbeatMS, i.Liveness, i.ReconnectMaxMS, i.RetentionMS}
	}
	if l := f.Limits; l != nil {
		m.Limits = &Limits{l.MessageBytesMax, l.FramesMax}
	}
	for k, val := range f.Headers {
		m.Meta = m.Meta.AppendHeader(k, val)
	}
	for _, e := range []struct {
		typ byte
		val string
	}{{MetaTrace, f.Trace}, {MetaErrorText, f.ErrorText}, {MetaErrorCode, f.ErrorCode}} {
		if e.val != "" {
			m.Meta = m.Meta.Append(e.typ, e.val)
		}
	}
	for _, e := range f.Entries {
		state := map[string]State{"unstarted": Unstarted, "running": Running, "finished": Finished, "kept": Kept, "id-only": IDOnly}[e.State]
		m.Entries = append(m.Entries, Entry{mustID(t, e.ID), e.Attempt, u64(t, e.Epoch), state, Flags(e.Flags), e.RemainingMS, e.ProgressMS, u64(t, e.Digest)})
	}
	for _, a := range f.Acks {
		m.Acks = append(m.Acks, Acked{mustID(t, a.ID), a.Attempt, u64(t, a.Epoch), a.RemainingMS, a.Superseded})
	}
	for _, b := range f.Body {
		m.Body = append(m.Body, unhex(t, b))
	}
	return m
}

func mustID(t testing.TB, s string) ID {
	t.Helper()
	id, err := ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
