package protocol

// The Majordomo Protocol, RFC 7 (0.1) and RFC 18 (0.2). In 0.1 an empty frame
// goes before every header; in 0.2 none does, but programs that send one are
// known, and answered alike. A worker serves one service with a credit of 1.
//
//	       0.1                                    0.2
//	client [envelope …][empty][MDPC01]            [MDPC02][01 REQUEST]
//	         [service][body …]                      [service][body …]
//	       … the same, with the reply             [MDPC02][02 PARTIAL | 03 FINAL][service][body …]
//	worker [empty][MDPW01][01 READY][service]     [MDPW02][01 READY][service]
//	       …[02 REQUEST][address][empty][body …]  …[02 REQUEST][address][empty][body …]
//	       …[03 REPLY]  [address][empty][body …]  …[03 PARTIAL | 04 FINAL][address][empty][body …]
//	       …[04 HEARTBEAT]                        …[05 HEARTBEAT]
//	       …[05 DISCONNECT]                       …[06 DISCONNECT]
//
// The address stands for the client and is the token of PPP.
const mdpHeaderBytes = 6

// mdpWindow is the grant of a client of MDP 0.2, which has no word for it.
const mdpWindow = 16

// The commands of both versions.
const (
	mdpReady   = 1
	mdpRequest = 2
	mdpPartial = 3 // 0.2
	mdpReply   = 3 // 0.1
)

// mdpCommands has, by version, the numbers of REPLY or FINAL, HEARTBEAT and
// DISCONNECT of a worker.
var mdpCommands = map[Dialect]struct{ final, heartbeat, disconnect byte }{
	MDP01: {mdpReply, 4, 5},
	MDP02: {4, 5, 6},
}

// looksMDP reports whether frame is meant as a header of some version of MDP: one
// of the four, or nearly: MDP in any case and a letter, then two letters or digits,
// of which one is a digit; or, of a client or worker, any one to four bytes with a
// digit among them (MDPC1, MDPW001, MDPC0.2, MDPC01 and a zero byte).
func looksMDP(frame []byte) bool {
	n := len(frame)
	if n < mdpHeaderBytes-1 || n > mdpHeaderBytes+2 || upper(frame[0]) != 'M' || upper(frame[1]) != 'D' || upper(frame[2]) != 'P' {
		return false
	}
	role, digits, plain := upper(frame[3]), 0, 0
	for _, b := range frame[4:] {
		if b >= '0' && b <= '9' {
			digits++
		}
		if b >= '0' && b <= '9' || upper(b) >= 'A' && upper(b) <= 'Z' {
			plain++
		}
	}
	if role == 'C' || role == 'W' {
		return digits > 0
	}
	return role >= 'A' && role <= 'Z' && digits > 0 && n == mdpHeaderBytes && plain == 2
}

func upper(b byte) byte { return b &^ ('a' - 'A') }

// readMDP reads the message whose header is frames[head].
func readMDP(frames [][]byte, head int, speaks Dialects, m *Message) (o Origin, err *Error) {
	o.Dialect = Plain // cannot be answered, as long as it is not clear
	switch h := string(frames[head]); {
	case h == "MDPC01" || h == "MDPW01":
		o.Dialect = MDP01
	case h == "MDPC02" || h == "MDPW02":
		o.Dialect = MDP02
	default:
		return o, fail(ErrVersion, head, 0, "this is nearly a header of MDP, and not one of MDPC01, MDPW01, MDPC02, MDPW02: if it is a body, leave mdp01 and mdp02 out of --dialects")
	}
	o.Worker = frames[head][3] == 'W'
	switch {
	case !speaks.Has(o.Dialect):
		return o, fail(ErrVersion, head, 0, o.Dialect.String()+" is not served here")
	case head == 0 && o.Dialect == MDP01:
		return o, fail(ErrFraming, 0, 0, "no empty frame before the header: MDP 0.1 has one")
	case o.Worker && head > 1:
		return o, fail(ErrFraming, 0, 0, "frames before the header of an MDP worker: it must connect to the broker itself")
	case len(frames) == head+1:
		return o, fail(ErrFraming, head, 0, "nothing behind the header of MDP")
	case o.Worker:
		o.Envelope = frames[: head+1 : head+1]
		return o, readMDPWorker(o.Dialect, frames, head+1, m)
	}
	return readMDPClient(o, frames, head+1, m)
}

// readMDPWorker reads a worker's message, whose command is frames[at].
func readMDPWorker(d Dialect, frames [][]byte, at int, m *Message) *Error {
	if len(frames[at]) != 1 {
		return fail(ErrCommand, at, 0, "the command of an MDP worker is one byte")
	}
	numbers, rest := mdpCommands[d], frames[at+1:]
	switch cmd := frames[at][0]; {
	case cmd == mdpReady:
		if len(rest) != 1 {
			return fail(ErrFraming, at, 0, "READY of MDP has one service name")
		}
		if why := ValidService(rest[0]); why != "" {
			return fail(ErrField, at+1, 0, why)
		}
		m.Command, m.Credit, m.Flags, m.Services = Ready, 1, Last, append(m.Services, rest[0])
	case cmd == numbers.final || cmd == mdpPartial && d == MDP02:
		if err := parseReply(rest, m); err != nil {
			err.Frame += at + 1
			return err
		}
		m.Flags = m.Flags.With(Partial, cmd != numbers.final)
	case len(rest) > 0:
		return fail(ErrFraming, at+1, 0, "HEARTBEAT and DISCONNECT of MDP are one frame behind the header; other commands are unknown")
	case cmd == numbers.heartbeat:
		m.Command, m.Credit = Heartbeat, 1
	case cmd == numbers.disconnect:
		m.Command, m.Code = Disconnect, ReasonShutdown
	default:
		return fail(ErrCommand, at, 0, "not a command of an MDP worker")
	}
	return nil
}

// appendMDPWorker appends what tells m to a worker: a REQUEST, a HEARTBEAT or
// a DISCONNECT. MDP has no more.
func appendMDPWorker(frames [][]byte, buf []byte, o *Origin, m *Message) ([][]byte, []byte) {
	start, numbers := len(buf), mdpCommands[o.Dialect]
	cmd := byte(mdpRequest)
	switch m.Command {
	case Request:
	case Heartbeat:
		cmd = numbers.heartbeat
	case Disconnect:
		cmd = numbers.disconnect
	default:
		return frames, buf
	}
	buf = append(buf, cmd)
	frames = append(append(frames, o.Envelope...), buf[start:len(buf):len(buf)])
	if m.Command != Request {
		return frames, buf
	}
	start = len(buf)
	buf = appendToken(buf, m)
	return append(append(frames, buf[start:len(buf):len(buf)], nil), m.Body...), buf
}
