package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A mistake is a message that must be refused: one of the samples with one
// thing changed, and where the error must point.
type mistake struct {
	name   string
	from   string // the sample it is made of
	change func(f [][]byte) [][]byte
	kind   ErrorKind
	frame  int
	offset int
	reason string
}

// put overwrites the header at byte at.
func put(at int, b ...byte) func([][]byte) [][]byte {
	return func(f [][]byte) [][]byte { copy(f[0][at:], b); return f }
}

// putList overwrites the list frame at byte at.
func putList(at int, b ...byte) func([][]byte) [][]byte {
	return func(f [][]byte) [][]byte { copy(f[1][at:], b); return f }
}

// ext appends bytes to the header.
func ext(b ...byte) func([][]byte) [][]byte {
	return func(f [][]byte) [][]byte { f[0] = append(f[0], b...); return f }
}

// cutTo shortens a frame.
func cutTo(frame, n int) func([][]byte) [][]byte {
	return func(f [][]byte) [][]byte { f[frame] = f[frame][:n]; return f }
}

func more(n int) func([][]byte) [][]byte {
	return func(f [][]byte) [][]byte { return append(f, make([][]byte, n)...) }
}

// longList repeats the list frame's first n bytes.
func longList(n, times int) func([][]byte) [][]byte {
	return func(f [][]byte) [][]byte { f[1] = bytes.Repeat(f[1][:n], times); return f }
}

var zero8, ones = make([]byte, 8), bytes.Repeat([]byte{0xff}, 8)

func mistakes() []mistake {
	return append(append(formMistakes(), fieldMistakes()...), listMistakes()...)
}

func formMistakes() []mistake {
	return []mistake{
		{"no frames", "ping", func([][]byte) [][]byte { return nil }, ErrFraming, 0, 0, "no header frame"},
		{"no header", "ping", put(0, 'H'), ErrFraming, 0, 0, "not a PRV header"},
		{"empty header", "ping", cutTo(0, 0), ErrFraming, 0, 0, "not a PRV header"},
		{"four bytes", "ping", cutTo(0, 4), ErrFraming, 0, 0, "not a PRV header"},
		{"command no peer has", "ping", put(4, 32), ErrFraming, 0, 0, "not a PRV header"},
		{"version 2", "request", put(3, '2'), ErrVersion, 0, 3, "protocol version 2 is not spoken here"},
		{"version 0 on the back", "ready", put(3, '0'), ErrVersion, 0, 3, "protocol version 0 is not spoken here"},
		{"version 9, five bytes", "ping", func(f [][]byte) [][]byte { return cutTo(0, 5)(put(3, '9')(f)) }, ErrVersion, 0, 3, "protocol version 9"},
		{"five bytes", "ping", cutTo(0, 5), ErrTruncated, 0, 5, "header shorter than 57 bytes"},
		{"56 bytes", "ping", cutTo(0, 56), ErrTruncated, 0, 56, "header shorter than 57 bytes"},
		{"header over 64 KiB", "ping", ext(append([]byte{100, 0xff, 0xf0}, make([]byte, 0xfff0)...)...), ErrLimit, 0, 65536, "header frame over 65536 bytes"},
		{"command 0", "ping", put(4, 0), ErrCommand, 0, 4, "COMMAND(0) is not a command client → broker"},
		{"unknown command", "ping", put(4, 31), ErrCommand, 0, 4, "COMMAND(31) is not a command client → broker"},
		{"reply on the wrong socket", "ping", put(4, byte(Reply)), ErrCommand, 0, 4, "REPLY is not a command client → broker"},
		{"request from a worker", "progress", put(4, byte(Request)), ErrCommand, 0, 4, "REQUEST is not a command worker → broker"},
		{"ready to a client", "pong", put(4, byte(Ready)), ErrCommand, 0, 4, "READY is not a command broker → client"},
		{"ping to a worker", "ack", put(4, byte(Ping)), ErrCommand, 0, 4, "PING is not a command broker → worker"},
		{"1,025 body frames", "request-no-frames", more(1025), ErrLimit, 1025, 0, "more than 1024 body frames"},
		{"body in a ping", "ping", more(1), ErrFraming, 1, 0, "PING has no body"},
		{"body in a progress", "progress", more(2), ErrFraming, 1, 0, "PROGRESS has no body"},
		{"list in a broker's disconnect", "disconnect-broker-full", more(1), ErrFraming, 1, 0, "DISCONNECT has no body broker → worker"},
		{"two lists", "heartbeat-worker", more(1), ErrFraming, 2, 0, "more than one list frame"},
		{"two lists of acks", "ack", more(1), ErrFraming, 2, 0, "more than one list frame"},
		{"service past the end", "request", put(56, 7), ErrTruncated, 0, 56, "service name reaches past the frame"},
		{"service not UTF-8", "request", put(58, 0xff), ErrField, 0, 57, "service name is not UTF-8"},
		{"service with a line break", "request", put(58, '\n'), ErrField, 0, 57, "service name has a control character"},
		{"field of two bytes", "request", ext(100, 0), ErrTruncated, 0, 63, "extension field cut short"},
		{"field past the end", "request", ext(100, 0, 2, 'x'), ErrTruncated, 0, 63, "extension field reaches past the frame"},
		{"padding", "request", ext(0, 0, 0), ErrField, 0, 63, "extension field of type 0"},
		{"end-to-end field of two bytes", "request", ext(200, 0), ErrTruncated, 0, 63, "extension field cut short"},
		{"end-to-end field past the end", "request", ext(200, 0, 0, 200, 0, 1), ErrTruncated, 0, 66, "extension field reaches past the frame"},
		{"hop-by-hop last", "request", ext(200, 0, 0, 100, 0, 0), ErrField, 0, 66, "hop-by-hop field after an end-to-end one"},
		{"end-to-end over 8 KiB", "request", ext(append([]byte{200, 0x1f, 0xfe}, make([]byte, 0x1ffe)...)...), ErrLimit, 0, 63, "end-to-end fields over 8192 bytes"},
	}
}

func fieldMistakes() []mistake {
	return []mistake{
		{"lease of 3 bytes", "request-worker-rerun", func(f [][]byte) [][]byte { f[0] = append(f[0][:63], 1, 0, 3, 0, 0, 1); return f }, ErrField, 0, 63, "extension field has the wrong size"},
		{"credit twice", "heartbeat-worker", ext(5, 0, 4, 0, 0, 0, 4), ErrField, 0, 64, "extension field is there twice"},
		{"waiting time never sent", "request-worker-rerun", put(77, ones[:4]...), ErrField, 0, 74, "waiting time is 4294967295 ms"},
		{"lease never sent", "request-worker", put(66, ones[:4]...), ErrField, 0, 63, "lease is 4294967295 ms"},
		{"retry-after never sent", "reply-overloaded-not-started", put(60, ones[:4]...), ErrField, 0, 57, "retry-after is 4294967295 ms"},
		{"credit 4,097", "heartbeat-worker", put(60, 0, 0, 0x10, 1), ErrLimit, 0, 57, "credit over 4096"},
		{"absurd credit", "ready", put(60, ones[:4]...), ErrLimit, 0, 57, "credit over 4096"},
		{"part 1,024", "ready-part-1", put(78, 0, 0, 4, 0), ErrLimit, 0, 75, "more than 1024 parts"},
		{"empty service in READY", "ready", ext(8, 0, 0), ErrField, 0, 94, "service name is empty"},
		{"service of 256 bytes in READY", "ready", ext(append([]byte{8, 1, 0}, bytes.Repeat([]byte("s"), 256)...)...), ErrLimit, 0, 94, "service name is longer than 255 bytes"},
		{"257 services", "ready", ext(bytes.Repeat([]byte{8, 0, 1, 's'}, 255)...), ErrLimit, 0, 94 + 254*4, "more than 256 services"},
		{"served of 3 bytes", "accepted", ext(17, 0, 3, 0, 0, 1), ErrField, 0, 57, "extension field has the wrong size"},
		{"served twice", "accepted-served", ext(17, 0, 4, 0, 0, 0, 1), ErrField, 0, 64, "extension field is there twice"},
		{"nearest name with a line break", "accepted", ext(17, 0, 6, 0, 0, 0, 0, 'a', '\n'), ErrField, 0, 57, "service name has a control character"},
		{"nearest name of 256 bytes", "accepted", ext(append([]byte{17, 1, 4, 0, 0, 0, 0}, bytes.Repeat([]byte("s"), 256)...)...), ErrField, 0, 57, "service name is longer than 255 bytes"},
		{"empty label", "ready", ext(18, 0, 0), ErrField, 0, 94, "label, host or version is empty"},
		{"label twice", "ready-of", ext(18, 0, 1, 'a'), ErrField, 0, 135, "extension field is there twice"},
		{"host of 256 bytes", "ready", ext(append([]byte{19, 1, 0}, bytes.Repeat([]byte("s"), 256)...)...), ErrField, 0, 94, "label, host or version is longer than 255 bytes"},
		{"version that is not UTF-8", "ready", ext(21, 0, 1, 0xff), ErrField, 0, 94, "label, host or version is not UTF-8"},
		{"heartbeat of 0", "welcome", put(60, zero8[:4]...), ErrField, 0, 57, "heartbeat is not 1 to 60000 ms"},
		{"heartbeat of 60,001", "welcome", put(60, 0, 0, 0xea, 0x61), ErrField, 0, 57, "heartbeat is not 1 to 60000 ms"},
		{"liveness of 0", "welcome", put(64, zero8[:4]...), ErrField, 0, 57, "liveness is not 1 to 100"},
		{"reconnect of 0", "welcome", put(68, zero8[:4]...), ErrField, 0, 57, "reconnect maximum is not 1 to 600000 ms"},
		{"retention never sent", "welcome", put(72, ones[:4]...), ErrField, 0, 57, "retention is 4294967295 ms"},
		{"message limit 0", "welcome", put(79, zero8...), ErrField, 0, 76, "a limit of 0"},
		{"frame limit 0", "pong-draining", put(68, zero8[:4]...), ErrField, 0, 57, "a limit of 0"},
		{"id zero in a request", "request", put(8, make([]byte, 16)...), ErrField, 0, 8, "request id is all zero"},
		{"id zero in a cancel", "cancel", put(8, make([]byte, 16)...), ErrField, 0, 8, "request id is all zero"},
		{"id zero in an outcome", "reply-ok-ran", put(8, make([]byte, 16)...), ErrField, 0, 8, "request id is all zero"},
		{"id zero in a worker's reply", "reply-worker-ok", put(8, make([]byte, 16)...), ErrField, 0, 8, "request id is all zero"},
		{"try 0", "request", put(24, zero8[:4]...), ErrField, 0, 24, "try or attempt is 0"},
		{"attempt 0", "progress", put(24, zero8[:4]...), ErrField, 0, 24, "try or attempt is 0"},
		{"attempt of no epoch", "request-worker", put(28, zero8...), ErrField, 0, 28, "the attempt's epoch is 0"},
		{"remaining never sent", "request", put(36, ones[:4]...), ErrField, 0, 36, "remaining is 4294967295 ms"},
		{"interest never sent", "request", put(52, ones[:4]...), ErrField, 0, 52, "interest is 4294967295 ms"},
		{"link 0", "ready", put(44, zero8[:4]...), ErrField, 0, 44, "link is 0"},
		{"link 0 in a worker's disconnect", "disconnect-worker", put(44, zero8[:4]...), ErrField, 0, 44, "link is 0"},
		{"seq 0", "heartbeat-worker", put(48, zero8[:4]...), ErrField, 0, 48, "seq is 0"},
		{"instance 0", "request", put(44, zero8...), ErrField, 0, 44, "instance is 0"},
		{"instance 0 in a cancel", "cancel", put(44, zero8...), ErrField, 0, 44, "instance is 0"},
		{"priority 3", "request", put(5, 3), ErrField, 0, 5, "unknown priority"},
		{"a second try that was never sent before", "request", put(27, 2), ErrField, 0, 6, "a try above 1 without MAYBE_SENT"},
		{"no outcome", "reply-ok-ran", put(5, 0), ErrField, 0, 5, "CODE(0) is no outcome for a client"},
		{"UNREACHABLE on the wire", "reply-ok-ran", put(5, byte(Unreachable)), ErrField, 0, 5, "UNREACHABLE is no outcome for a client"},
		{"RETRY to a client", "reply-ok-ran", put(5, byte(Retry)), ErrField, 0, 5, "RETRY is no outcome for a client"},
		{"no certainty", "reply-ok-ran", put(6, 0, 0), ErrField, 0, 6, "certainty none does not go with OK"},
		{"OK but not started", "reply-ok-ran", put(6, 0x40, 0), ErrField, 0, 6, "certainty not-started does not go with OK"},
		{"a part of no run to a client", "reply-ok-ran", put(6, 0xc0, byte(Partial)), ErrField, 0, 6, "a part of a reply that is not OK, or has no run or number"},
		{"a part of no run from a worker", "reply-worker-ok", put(6, 0, byte(Partial)), ErrField, 0, 6, "a part of a reply that is not OK, or has no run or number"},
		{"a part that is an error", "reply-worker-part", put(5, byte(Failed)), ErrField, 0, 6, "a part of a reply that is not OK, or has no run or number"},
		{"a stream without a grant", "request", put(6, 0, byte(Partial)), ErrField, 0, 57, "PARTIAL in a REQUEST without a grant of 1 to 1024 parts"},
		{"a grant too large", "request-worker-stream", put(80+17, 0xff), ErrField, 0, 57, "PARTIAL in a REQUEST without a grant of 1 to 1024 parts"},
		{"credit for no run", "credit", cutTo(0, 57), ErrField, 0, 57, "CREDIT names no run"},
		{"credit of no run for a part", "credit-any-run", put(57+3+11, 1), ErrField, 0, 57, "CREDIT names no run"},
		{"credit for less than has come", "credit", put(57+3+11, 25), ErrField, 0, 57, "CREDIT for less than has come, or for over 1024 parts more"},
		{"credit for too much", "credit", put(57+3+14, 9), ErrField, 0, 57, "CREDIT for less than has come, or for over 1024 parts more"},
		{"a stream field too short", "credit", put(59, 15), ErrField, 0, 57, "extension field has the wrong size"},
		{"WORKER_LOST from a worker", "reply-worker-ok", put(5, byte(WorkerLost)), ErrField, 0, 5, "WORKER_LOST is no code for a worker's REPLY"},
		{"cancel for no reason", "cancel-worker-expired", put(5, 0), ErrField, 0, 5, "unknown reason of a CANCEL"},
		{"unknown reason", "disconnect-worker", put(5, 7), ErrField, 0, 5, "unknown reason of a DISCONNECT"},
		{"pong of no epoch", "pong", put(28, zero8...), ErrField, 0, 28, "the broker's epoch is 0"},
		{"welcome of no epoch", "welcome", put(28, zero8...), ErrField, 0, 28, "the broker's epoch is 0"},
		{"pong without limits", "pong", cutTo(0, 57), ErrField, 0, 57, "PONG without limits"},
		{"welcome without limits", "welcome", cutTo(0, 76), ErrField, 0, 57, "WELCOME without intervals or limits"},
		{"ready without instance", "ready", cutTo(0, 64), ErrField, 0, 57, "READY without an instance"},
		{"ready in the middle of a link", "ready", put(51, 2), ErrField, 0, 48, "seq of a READY is not its part + 1"},
		{"welcome in the middle of a link", "welcome", put(51, 2), ErrField, 0, 48, "seq of a WELCOME is not 1"},
	}
}

func listMistakes() []mistake {
	return []mistake{
		{"half an entry", "heartbeat-worker", cutTo(1, 2*48+47), ErrTruncated, 1, 96, "not a whole number of 48-byte entries"},
		{"4,097 entries", "heartbeat-worker", longList(48, 4097), ErrLimit, 1, 4096 * 48, "more than 4096 entries"},
		{"entry of no id", "ready-part-0", putList(48, make([]byte, 16)...), ErrField, 1, 48, "request id is all zero"},
		{"entry of attempt 0", "heartbeat-worker", putList(48+16, zero8[:4]...), ErrField, 1, 48 + 16, "attempt is 0"},
		{"entry of no epoch", "heartbeat-worker", putList(48+20, zero8...), ErrField, 1, 48 + 20, "epoch is 0"},
		{"entry of state 0", "heartbeat-worker", putList(28, 0), ErrField, 1, 28, "unknown state 0"},
		{"entry of state 6", "ready-part-0", putList(28, 6), ErrField, 1, 28, "unknown state 6"},
		{"kept in a heartbeat", "heartbeat-worker", putList(28, byte(Kept)), ErrField, 1, 28, "state kept belongs in READY"},
		{"id-only in a disconnect", "disconnect-worker", putList(28, byte(IDOnly)), ErrField, 1, 28, "state id-only belongs in READY"},
		{"half an acknowledgement", "ack", cutTo(1, 36+35), ErrTruncated, 1, 36, "not a whole number of 36-byte acknowledgements"},
		{"4,097 acknowledgements", "heartbeat-broker-acks", longList(36, 4097), ErrLimit, 1, 4096 * 36, "more than 4096 acknowledgements"},
		{"acknowledgement of no id", "ack", putList(36, make([]byte, 16)...), ErrField, 1, 36, "request id is all zero"},
		{"acknowledgement of attempt 0", "ack", putList(16, zero8[:4]...), ErrField, 1, 16, "attempt is 0"},
		{"acknowledgement of no epoch", "ack", putList(20, zero8...), ErrField, 1, 20, "epoch is 0"},
	}
}

// find returns the sample called name.
func find(t testing.TB, name string) sample {
	t.Helper()
	for _, s := range samples() {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no sample %q", name)
	return sample{}
}

func TestEachMistakeIsRefusedWhereItIs(t *testing.T) {
	for _, c := range mistakes() {
		s := find(t, c.from)
		var m Message
		err := Parse(s.d, c.change(encode(s.d, s.m)), &m)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: taken", c.name)
			continue
		}
		if e.Kind != c.kind || e.Frame != c.frame || e.Offset != c.offset || !strings.Contains(e.Reason, c.reason) {
			t.Errorf("%s: %s, %v; want %s, frame %d, byte %d: %s", c.name, e.Kind, e, c.kind, c.frame, c.offset, c.reason)
		}
	}
}

// Each reason that the package can give is in the table above.
func TestEachReasonHasItsMistake(t *testing.T) {
	literal := regexp.MustCompile(`(?:fail\(Err\w+,[^"\n]*|return )"([^"(]+)"`)
	known, found := mistakes(), 0
	for _, file := range []string{"parse.go", "fields.go", "validate.go", "list.go", "message.go"} {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, hit := range literal.FindAllSubmatch(src, -1) {
			found++
			given := strings.TrimSpace(string(hit[1]))
			// Of the two the table's may be the shorter one, or have a name in it.
			if !slices.ContainsFunc(known, func(c mistake) bool {
				return strings.Contains(c.reason, given) || strings.Contains(given, c.reason)
			}) {
				t.Errorf("%s: no mistake is refused with %q", file, hit[1])
			}
		}
	}
	if found < 50 {
		t.Errorf("found only %d reasons in the source; is the pattern still right?", found)
	}
}

// What could be read of a refused message is there to answer its sender with.
func TestRefusedMessagesNameTheirSender(t *testing.T) {
	type known struct {
		id             ID
		number         uint32
		instance       uint64
		link, sequence uint32
	}
	for _, c := range []struct {
		name, from string
		change     func([][]byte) [][]byte
		want       known
	}{
		{"another version", "request-again", put(3, '2'), known{idA, 3, client, 0, 0}},
		{"another version, 28 bytes", "request-again", func(f [][]byte) [][]byte { return cutTo(0, 28)(put(3, '2')(f)) }, known{idA, 3, 0, 0, 0}},
		{"24 bytes", "request-again", cutTo(0, 24), known{idA, 0, 0, 0, 0}},
		{"23 bytes", "request-again", cutTo(0, 23), known{}},
		{"too many frames", "request-again", more(1025), known{idA, 3, client, 0, 0}},
		{"header too long", "request-again", ext(make([]byte, 65536)...), known{idA, 3, client, 0, 0}},
		{"a worker's command on the front", "request-again", put(4, byte(Ready)), known{idA, 3, client, 0, 0}},
		{"worker of another version", "progress", put(3, '7'), known{idB, 2, 0, 1, 3}},
	} {
		s := find(t, c.from)
		m := Message{ID: idB, Number: 99, Instance: 99, Link: 99, Seq: 99}
		if Parse(s.d, c.change(encode(s.d, s.m)), &m) == nil {
			t.Errorf("%s: taken", c.name)
		}
		if got := (known{m.ID, m.Number, m.Instance, m.Link, m.Seq}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	e := fail(ErrLimit, 1, 196608, "more than 4096 entries")
	if got, want := e.Error(), "frame 1, byte 196608: more than 4096 entries"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	seen := map[string]bool{}
	for k := ErrFraming; k <= ErrLimit; k++ {
		seen[k.String()] = true
	}
	if len(seen) != 6 || seen["unknown"] || ErrorKind(0).String() != "unknown" {
		t.Errorf("kinds: %v", seen)
	}
}

// No sender can smuggle fields in behind a name that is too long to encode.
func TestOverlongNamesAreRefused(t *testing.T) {
	long := append(bytes.Repeat([]byte("s"), 256), extLease, 0, 4, 0, 0, 0, 1)
	for _, n := range []int{256, 257, 263, 65536 + 5} {
		name := append(bytes.Clone(long), make([]byte, 65536)...)[:n]
		req, ready := find(t, "request-worker"), find(t, "ready")
		req.m.Service, ready.m.Services = name, [][]byte{name}
		for _, s := range []sample{req, ready} {
			var m Message
			var e *Error
			if err := Parse(s.d, encode(s.d, s.m), &m); !errors.As(err, &e) || e.Kind != ErrField || !strings.Contains(e.Reason, "control character") {
				t.Errorf("%s, name of %d bytes: %v", s.name, n, err)
			}
		}
	}
	// The limit itself is fine.
	s := find(t, "request")
	s.m.Service = long[:255]
	var m Message
	if err := Parse(s.d, encode(s.d, s.m), &m); err != nil || len(m.Service) != 255 {
		t.Errorf("255 bytes: %v", err)
	}
}

// What a list may hold is bounded by what arrived, not by what it claims.
func TestLimitsThemselvesAreTaken(t *testing.T) {
	var m Message
	full := find(t, "heartbeat-worker")
	if err := Parse(full.d, longList(48, 4096)(encode(full.d, full.m)), &m); err != nil || len(m.Entries) != 4096 {
		t.Errorf("4,096 entries: %v", err)
	}
	acks := find(t, "ack")
	if err := Parse(acks.d, longList(36, 4096)(encode(acks.d, acks.m)), &m); err != nil || len(m.Acks) != 4096 {
		t.Errorf("4,096 acknowledgements: %v", err)
	}
	req := find(t, "request-no-frames")
	if err := Parse(req.d, more(1024)(encode(req.d, req.m)), &m); err != nil || len(m.Body) != 1024 {
		t.Errorf("1,024 frames: %v", err)
	}
	if err := Parse(req.d, ext(append([]byte{200, 0x1f, 0xfd}, make([]byte, 0x1ffd)...)...)(encode(req.d, req.m)), &m); err != nil || len(m.Meta) != 8192 {
		t.Errorf("8,192 bytes end to end: %v", err)
	}
	rest := 65536 - 63 - 3
	if err := Parse(req.d, ext(append([]byte{100, byte(rest >> 8), byte(rest)}, make([]byte, rest)...)...)(encode(req.d, req.m)), &m); err != nil {
		t.Errorf("a header of 64 KiB: %v", err)
	}
	beat := find(t, "heartbeat-worker")
	beat.m.Credit, beat.m.Entries = 4096, nil
	if err := Parse(beat.d, encode(beat.d, beat.m), &m); err != nil || m.Credit != 4096 {
		t.Errorf("credit 4,096: %v", err)
	}
	if binary.BigEndian.Uint32(encode(beat.d, beat.m)[0][60:]) != 4096 {
		t.Error("credit is not at byte 60")
	}
}
