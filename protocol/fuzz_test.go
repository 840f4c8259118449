package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"runtime"
	"testing"
)

// Fuzz inputs are a direction (where there is one) and frames, each behind
// its length in two bytes; the last takes what is left.
func packed(frames [][]byte) []byte {
	var b []byte
	for _, f := range frames {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(f))), f...)
	}
	return b
}

func unpacked(b []byte) (frames [][]byte) {
	for len(b) >= 2 {
		n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
		frames = append(frames, bytes.Clone(b[2:2+n]))
		b = b[2+n:]
	}
	return frames
}

func FuzzParse(f *testing.F) {
	for _, s := range samples() {
		f.Add(uint8(s.d), packed(encode(s.d, s.m)))
	}
	for _, c := range mistakes() {
		s := find(f, c.from)
		if b := packed(c.change(encode(s.d, s.m))); len(b) < 4096 {
			f.Add(uint8(s.d), b)
		}
	}
	f.Fuzz(func(t *testing.T, way uint8, b []byte) {
		d, fs := Direction(way%4), unpacked(b)
		before := bytes.Join(fs, nil)
		var m Message
		var e *Error
		err := Parse(d, fs, &m)
		if !bytes.Equal(before, bytes.Join(fs, nil)) {
			t.Fatal("Parse wrote into its input")
		}
		if err != nil {
			if !errors.As(err, &e) || e.Kind < ErrFraming || e.Kind > ErrLimit || e.Reason == "" {
				t.Fatalf("no proper error: %v", err)
			}
			if len(fs) > 0 && (e.Frame >= len(fs) || e.Offset > len(fs[e.Frame])) {
				t.Fatalf("the error points outside the message: %v", e)
			}
			return
		}
		if size := allocated(func() { _ = Parse(d, fs, new(Message)) }); size > 4096+16*uint64(len(b)) {
			t.Fatalf("Parse of %d bytes allocated %d", len(b), size)
		}
		once := encode(d, m)
		var again Message
		if err := Parse(d, once, &again); err != nil {
			t.Fatalf("not taken when encoded again: %v", err)
		}
		same(t, "parsed, encoded and parsed", again, m)
		if !reflect.DeepEqual(encode(d, again), once) {
			t.Fatal("the encoding is not stable")
		}
	})
}

// allocated is about how many bytes f allocates; the least of a few runs,
// since others allocate at the same time.
func allocated(f func()) uint64 {
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if least = min(least, after.TotalAlloc-before.TotalAlloc); least < 4096 {
			break
		}
	}
	return least
}

func FuzzSplitEnvelope(f *testing.F) {
	for _, fs := range [][][]byte{frames("", "x"), frames("abcd", "", "x", ""), frames("a", "b"), frames(""), frames("a", ""), {}} {
		f.Add(packed(fs))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := unpacked(b)
		envelope, content, ok := SplitEnvelope(fs)
		if !ok {
			if envelope != nil || content != nil {
				t.Fatal("parts of what was refused")
			}
			return
		}
		whole := append(append(append([][]byte{}, envelope...), fs[len(envelope)]), content...)
		if !reflect.DeepEqual(whole, fs) || len(fs[len(envelope)]) != 0 || len(content) == 0 {
			t.Fatalf("%q is not %q, empty, %q", fs, envelope, content)
		}
		bytesKept := 0
		for _, e := range envelope {
			if len(e) == 0 || Sniff(e) {
				t.Fatalf("%q in the envelope", e)
			}
			bytesKept += len(e)
		}
		if len(envelope) > 8 || bytesKept > 8*255 {
			t.Fatalf("an envelope of %d frames, %d bytes", len(envelope), bytesKept)
		}
	})
}

func FuzzPPP(f *testing.F) {
	req := find(f, "request-worker").m
	token, _ := AppendPPP(nil, nil, &req)
	for _, fs := range [][][]byte{frames("\x01"), frames("\x02"), frames("READY"), frames("HEARTBEAT"), frames("", "READY"), append(frames(""), token...), token, frames("\x03"), frames("short", "", "x"), token[:1], append(token[:1:1], token[2:]...)} {
		f.Add(packed(fs))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := unpacked(b)
		var m Message
		if !ParsePPP(fs, &m) {
			same(t, "refused", m, Message{})
			return
		}
		if len(fs[0]) == 0 && m.Command != Heartbeat { // of a REQ socket
			fs = fs[1:]
		}
		switch m.Command {
		case Ready, Heartbeat:
			if words := string(fs[0]) == "READY" || string(fs[0]) == "HEARTBEAT"; len(fs) != 1 || len(fs[0]) != 1 && !words {
				t.Fatalf("%q is %s", fs, m.Command)
			}
		case Reply:
			asked := m
			asked.Command = Request
			again, _ := AppendPPP(nil, nil, &asked)
			if len(fs[1]) != 0 { // the delimiter was left out
				again = append(again[:1:1], again[2:]...)
			}
			if !bytes.Equal(packed(again), packed(fs)) {
				t.Fatalf("a reply to %q came as %q", again, fs)
			}
		default:
			t.Fatalf("%s from a PPP worker", m.Command)
		}
	})
}

// No message of a worker is both PRV1 and PPP.
func FuzzSniffing(f *testing.F) {
	for _, s := range samples() {
		f.Add(packed(encode(s.d, s.m)))
	}
	f.Add(packed(frames("\x01")))
	unlucky := find(f, "request-worker").m
	copy(unlucky.ID[:], "PRV1\x05")
	token, _ := AppendPPP(nil, nil, &unlucky)
	f.Add(packed(token))
	f.Add(packed(frames("PRV1\x05-a-token-of-56-bytes-------------------------------", "", "body")))
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := unpacked(b)
		var m Message
		ppp := ParsePPP(fs, &m)
		sniffed := len(fs) > 0 && Sniff(fs[0])
		if ppp && sniffed {
			t.Fatalf("%q is taken for PPP and for PRV", fs)
		}
		for d := FrontIn; d <= BackOut; d++ {
			if Parse(d, fs, &m) == nil && (ppp || !sniffed) {
				t.Fatalf("%q is PRV1 %s, but does not look like it", fs, d)
			}
		}
	})
}
