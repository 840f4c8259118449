package protocol

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// docs/protocol.md is what others program from; its tables and examples are
// held against the code.

func document(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table returns the rows, without the head, of the one table whose head
// begins with these cells.
func table(t *testing.T, doc string, head ...string) [][]string {
	t.Helper()
	lines, found := strings.Split(doc, "\n"), 0
	var rows [][]string
	for i := 0; i < len(lines); i++ {
		cells := row(lines[i])
		if len(cells) < len(head) || !slices.Equal(cells[:len(head)], head) {
			continue
		}
		found++
		for i += 2; i < len(lines) && strings.HasPrefix(lines[i], "|"); i++ {
			if got := row(lines[i]); len(got) != len(cells) {
				t.Errorf("a row of %d cells in a table of %d: %s", len(got), len(cells), lines[i])
			} else {
				rows = append(rows, got)
			}
		}
	}
	if found != 1 || len(rows) == 0 {
		t.Fatalf("%d tables with head %q, %d rows", found, head, len(rows))
	}
	return rows
}

func row(line string) (cells []string) {
	if !strings.HasPrefix(line, "|") {
		return nil
	}
	for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
		cells = append(cells, strings.TrimSpace(c))
	}
	return cells
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(s, ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDocumentedCommands(t *testing.T) {
	doc := document(t)
	rows := table(t, doc, "no.", "command")
	for i, r := range rows {
		c := Command(number(t, r[0]))
		if int(c) != i+1 || c.String() != r[1] {
			t.Errorf("row %d tells %s %s", i, r[0], r[1])
		}
		for d := FrontIn; d <= BackOut; d++ {
			if (r[2+d] == "yes") != Legal(d, c) {
				t.Errorf("%s %s: told %q", c, d, r[2+d])
			}
		}
	}
	if len(rows) != int(Disconnect) {
		t.Errorf("%d commands are told", len(rows))
	}
}

func TestDocumentedFieldUse(t *testing.T) {
	ways := map[string]Direction{"C→B": FrontIn, "B→C": FrontOut, "W→B": BackIn, "B→W": BackOut}
	told := map[string]bool{}
	for _, r := range table(t, document(t), "direction", "command", "code") {
		d, ok := ways[r[0]]
		p := slices.IndexFunc(pairs(), func(p sample) bool { return p.d == d && p.m.Command.String() == r[1] })
		if !ok || p < 0 {
			t.Fatalf("told, but not legal: %s %s", r[0], r[1])
		}
		cmd := pairs()[p].m.Command
		told[d.String()+" "+cmd.String()] = true
		var fields uint32
		for _, f := range strings.Fields(strings.Trim(r[9], "–")) {
			fields |= 1 << number(t, f)
		}
		if fields != fieldsOf(d, cmd) {
			t.Errorf("%s %s: fields %s, in the code %b", r[0], r[1], r[9], fieldsOf(d, cmd))
		}
		if got := bodyOf(d, cmd); got != r[10] {
			t.Errorf("%s %s: frames %s, in the code %s", r[0], r[1], r[10], got)
		}
		// What is told to be a request must be one, and only that.
		if err := validateFence(d, &Message{Command: cmd, Number: 1, Epoch: 1}); (err != nil) != (r[4] == "request") {
			t.Errorf("%s %s: id %q, in the code %v", r[0], r[1], r[4], err)
		}
	}
	for _, p := range pairs() {
		if !told[p.name] {
			t.Errorf("not told: %s", p.name)
		}
	}
}

// bodyOf finds out by trying what may follow the header.
func bodyOf(d Direction, cmd Command) string {
	takes := func(n, size int) (bool, *Message) {
		m := &Message{Command: cmd}
		body := make([][]byte, n)
		for i := range body {
			body[i] = bytes.Repeat([]byte{1}, size)
		}
		return parseBody(d, body, m) == nil, m
	}
	if two, _ := takes(2, 1); two {
		return "body"
	}
	if ok, m := takes(1, entryBytes); ok && len(m.Entries) == 1 {
		return "entries"
	}
	if ok, m := takes(1, ackBytes); ok && len(m.Acks) == 1 {
		return "acks"
	}
	return "none"
}

func TestDocumentedCodes(t *testing.T) {
	doc := document(t)
	told := map[Code]bool{}
	for _, r := range table(t, doc, "code", "name", "what happened") {
		c := Code(number(t, r[0]))
		told[c] = true
		if c.String() != r[1] {
			t.Errorf("code %d is told as %s", c, r[1])
		}
		for k := NotStarted; k <= Ran && c != Unreachable; k++ {
			weaker := k == MaybeStarted && c >= NoService && c <= Invalid // told below the table
			said := regexp.MustCompile(`(^|[ ,])` + k.String() + `($|[ ,])`).MatchString(r[3])
			if c.Admits(k) != (said || weaker) {
				t.Errorf("%s: certainty %q, in the code %s %v", c, r[3], k, c.Admits(k))
			}
		}
	}
	if len(told) != int(Unreachable) {
		t.Errorf("%d outcomes are told", len(told))
	}
	fromWorker := 0
	for _, r := range table(t, doc, "code", "name", "what it says") {
		c := Code(number(t, r[0]))
		fromWorker++
		if c.String() != r[1] || !c.fromWorker() || c.Final() != (r[3] == "yes") {
			t.Errorf("a worker's code %d, %s, final %s", c, r[1], r[3])
		}
	}
	for c := 0; c < 256; c++ {
		if Code(c).fromWorker() {
			fromWorker--
		}
	}
	if fromWorker != 0 {
		t.Error("not all codes of workers are told")
	}
	reasons := 0
	for _, r := range table(t, doc, "command", "code", "name") {
		reasons++
		for cmd, names := range reasonNames {
			if cmd.String() == r[0] && names[Code(number(t, r[1]))] != r[2] {
				t.Errorf("%s %s is told as %s", r[0], r[1], r[2])
			}
		}
	}
	for _, names := range reasonNames {
		reasons -= len(names)
	}
	if reasons != 0 {
		t.Error("not all reasons and priorities are told")
	}
}

func TestDocumentedFlags(t *testing.T) {
	names := map[string]Flags{"AT_MOST_ONCE": AtMostOnce, "MAYBE_SENT": MaybeSent, "NO_WAIT": NoWait, "CAN_TAKE_MORE": CanTakeMore,
		"FINISH": Finish, "RETRYABLE": Retryable, "PARTIAL": Partial, "MAYBE_RERUN": MaybeRerun, "REPLAY_ONLY": ReplayOnly,
		"FROM_KEPT": FromKept, "CTX_CANCELLED": CtxCancelled, "STARTED": Started, "LAST": Last, "DRAINING": Draining}
	rows := table(t, document(t), "bit", "flag")
	for _, r := range rows[:len(rows)-1] {
		if names[r[1]] != 1<<number(t, r[0]) {
			t.Errorf("%s is told as bit %s", r[1], r[0])
		}
		delete(names, r[1])
	}
	if len(names) != 0 {
		t.Errorf("not told: %v", names)
	}
	last := rows[len(rows)-1]
	if last[0] != "14–15" || !strings.Contains(last[3], "1 not-started, 2 maybe-started, 3 ran") || Flags(1<<14).Certainty() != NotStarted {
		t.Errorf("certainty is told as %q", last)
	}
}

func TestDocumentedFieldsAndStates(t *testing.T) {
	doc := document(t)
	want := map[string][2]int{"LEASE": {extLease, 4}, "DIGEST": {extDigest, 8}, "ATTEMPT": {extAttempt, 4}, "RETRY_AFTER": {extRetryAfter, 4},
		"CREDIT": {extCredit, 4}, "INSTANCE": {extInstance, 8}, "PART": {extPart, 4}, "SERVICE": {extService, 0}, "INTERVALS": {extIntervals, 16},
		"LIMITS": {extLimits, 12}, "STREAM": {extStream, 16}, "WAITED": {extWaited, 4},
		"SERVED": {extServed, 0}, "LABEL": {extLabel, 0}, "HOST": {extHost, 0}, "PROCESS": {extProcess, 4}, "VERSION": {extVersion, 0}, "REMEMBER_MAX": {extRemember, 4},
		"HEADER": {MetaHeader, 0}, "TRACE": {MetaTrace, 0}, "ERROR_TEXT": {MetaErrorText, 0}, "ERROR_CODE": {MetaErrorCode, 0}}
	for _, r := range table(t, doc, "type", "field") {
		size := 0
		if r[2] != "any" && !strings.Contains(r[2], " to ") {
			size = number(t, r[2])
		}
		if got := [2]int{number(t, r[0]), size}; got != want[r[1]] || got[0] < 128 && fieldBytes[got[0]] != size {
			t.Errorf("%s is told as type %d of %d bytes", r[1], got[0], got[1])
		}
		delete(want, r[1])
	}
	if len(want) != 0 {
		t.Errorf("not told: %v", want)
	}
	states := table(t, doc, "state", "name")
	for i, r := range states {
		s := State(number(t, r[0]))
		if int(s) != i+1 || s.String() != r[1] {
			t.Errorf("state %d is told as %s", s, r[1])
		}
		for _, cmd := range []Command{Ready, Heartbeat, Disconnect} {
			if (parseList(cmd, s) == nil) != strings.Contains(r[3], cmd.String()) {
				t.Errorf("state %s in %s: told %q", s, cmd, r[3])
			}
		}
	}
	if len(states) != int(IDOnly) {
		t.Errorf("%d states are told", len(states))
	}
}

func parseList(cmd Command, s State) *Error {
	return parseEntries(AppendEntries(nil, []Entry{{ID: idA, Attempt: 1, Epoch: 1, State: s}}), &Message{Command: cmd})
}

func TestDocumentedLimits(t *testing.T) {
	want := map[string]int{"header frame": HeaderBytesMax, "service name": ServiceBytesMax, "end-to-end fields of one message": MetaBytesMax,
		"body frames of one message": FramesMax, "items of one list": EntriesMax, "parts of one READY": PartsMax, "credit": CreditMax,
		"services of one worker": ServicesMax, "envelope": envelopeFramesMax}
	first := regexp.MustCompile(`^[\d,]*\d`)
	doc := document(t)
	for _, r := range table(t, doc, "limit", "value") {
		if n, ok := want[r[0]]; ok {
			if number(t, first.FindString(r[1])) != n {
				t.Errorf("%s is told as %s, in the code %d", r[0], r[1], n)
			}
			delete(want, r[0])
		}
	}
	if len(want) != 0 {
		t.Errorf("not told: %v", want)
	}
	for i, r := range table(t, doc, "kind", "meaning") {
		if ErrorKind(i+1).String() != r[0] {
			t.Errorf("kind %d is told as %s", i+1, r[0])
		}
	}
	for _, said := range []string{
		"heartbeat_ms 1 to " + commas(HeartbeatMSMax), "liveness 1 to " + commas(LivenessMax), "reconnect_max_ms 1 to " + commas(ReconnectMSMax),
		"cuts it to " + commas(ErrorTextBytesMax) + " bytes", "cuts it to " + commas(ErrorCodeBytesMax) + " bytes", "at least 57 and at most 65,536",
		fmt.Sprintf("at most %d bytes each", envelopeFrameBytesMax),
	} {
		if !strings.Contains(doc, said) {
			t.Errorf("the document does not say %q", said)
		}
	}
}

func commas(n int) string {
	s := itoa(n)
	if len(s) > 3 {
		s = s[:len(s)-3] + "," + s[len(s)-3:]
	}
	return s
}

// The worked examples are the vectors of their names.
func TestDocumentedExamples(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```hex ([a-z-]+)\n(.*?)```").FindAllStringSubmatch(document(t), -1)
	if len(blocks) < 4 {
		t.Fatalf("%d examples", len(blocks))
	}
	vectors := readVectors(t)
	for _, b := range blocks {
		var got []string
		for _, part := range strings.Split(b[2], "frame\n") {
			text := ""
			for _, line := range strings.Split(part, "\n") {
				data, _, _ := strings.Cut(line, ";")
				text += strings.ReplaceAll(data, " ", "")
			}
			raw, err := hex.DecodeString(text)
			if err != nil {
				t.Fatalf("%s: %v", b[1], err)
			}
			got = append(got, hex.EncodeToString(raw))
		}
		i := slices.IndexFunc(vectors, func(v vector) bool { return v.Name == b[1] })
		if i < 0 || !slices.Equal(vectors[i].Frames, got) {
			t.Errorf("example %s is not the vector of that name: %s", b[1], got)
		}
	}
}

// A text that others hold must not point nowhere. (internal/docs follows its links.)
func TestDocumentedRules(t *testing.T) {
	doc := document(t)
	for _, r := range regexp.MustCompile(`\((W|C|B)(\d+)\)`).FindAllStringSubmatch(doc, -1) {
		if !strings.Contains(doc, "- **"+r[1]+r[2]+".**") {
			t.Errorf("no rule %s%s", r[1], r[2])
		}
	}
}
