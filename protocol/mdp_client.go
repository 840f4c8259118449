package protocol

// Clients of MDP 0.2, as they are out there. RFC 18 has REQUEST 01, PARTIAL 02 and
// FINAL 03, each with the service name. Three others can be told from it, and are
// answered as their authors expect, in the dialect MDP02:
//
//	majortomo  [empty][MDPC02][02][service][body …]   [empty][MDPC02][03 | 04][body …]
//	no command [empty][MDPC02][service][body …]       [empty][MDPC02][service][body …]
//	zproto     [AA A4 01 | MDPC02 | 01 | service][body …]
//	                                                  the same, with 02 02 or 03 03
//
// A command is a control character, and no service name has one. The frame of
// zproto, which the C library of zeromq/majordomo writes, is read whole.
const (
	mdpClientRequest  = "\x01"
	mdpClientRequest2 = "\x02" // majortomo: the numbers of workers
)

var (
	mdpClientPartial, mdpClientFinal   = []byte{2}, []byte{3}
	mdpClientPartial2, mdpClientFinal2 = []byte{3}, []byte{4}
)

// readMDPClient reads a client's request, from frames[at] on.
func readMDPClient(o Origin, frames [][]byte, at int, m *Message) (Origin, *Error) {
	flags, grant := Flags(0), uint32(0)
	if o.Dialect == MDP02 {
		switch command := string(frames[at]); {
		case command == mdpClientRequest || command == mdpClientRequest2:
			flags, grant = Partial, mdpWindow
			at++
		case ValidService(frames[at]) != "":
			return o, fail(ErrCommand, at, 0, "the command of an MDP client is 01, REQUEST")
		}
	}
	switch {
	case len(frames) < at+2:
		return o, fail(ErrFraming, len(frames)-1, 0, "an MDP request has a service name and a body")
	case len(frames)-at-1 > FramesMax:
		return o, fail(ErrLimit, at+1+FramesMax, 0, "an MDP request of more than 1024 frames")
	}
	o.Envelope = frames[: at+1 : at+1]
	if why := ValidService(frames[at]); why != "" {
		return o, fail(ErrField, at, 0, why)
	}
	m.Command, m.Number, m.Service, m.Body = Request, 1, frames[at], frames[at+1:len(frames):len(frames)]
	m.Flags, m.Stream.Grant = flags, grant
	return o, nil
}

// appendMDP02Reply appends an answer to a client of MDP 0.2: what its request
// began with, the command changed, and the body.
func appendMDP02Reply(frames [][]byte, buf []byte, o *Origin, m *Message) ([][]byte, []byte) {
	last := len(o.Envelope) - 1
	if _, ok := zprotoService(o.Envelope[last]); ok {
		return appendZproto(frames, buf, o.Envelope[last], m)
	}
	frames = append(frames, o.Envelope...)
	end := len(frames)
	switch string(frames[end-2]) {
	case mdpClientRequest:
		frames[end-2] = which(m, mdpClientPartial, mdpClientFinal)
	case mdpClientRequest2:
		frames[end-2] = which(m, mdpClientPartial2, mdpClientFinal2)
		frames = frames[:end-1]
	}
	return append(frames, m.Body...), buf
}

func which(m *Message, partial, final []byte) []byte {
	if m.Flags.Has(Partial) {
		return partial
	}
	return final
}

// zprotoHead is what a REQUEST of zproto begins with: signature, message, version,
// and the message once more. The service name follows, behind its length.
const zprotoHead = "\xaa\xa4\x01\x06MDPC02\x01"

// zprotoService is the service name in a REQUEST of zproto.
func zprotoService(frame []byte) (service []byte, ok bool) {
	const n = len(zprotoHead)
	if len(frame) <= n || string(frame[:n]) != zprotoHead || len(frame) != n+1+int(frame[n]) {
		return nil, false
	}
	return frame[n+1:], true
}

// readZproto reads a client's request whose first frame is zproto's.
func readZproto(frames [][]byte, service []byte, m *Message) (o Origin, err *Error) {
	o = Origin{Dialect: MDP02, Envelope: frames[:1:1]}
	switch why := ValidService(service); {
	case len(frames) < 2:
		return o, fail(ErrFraming, 0, 0, "an MDP request has a service name and a body")
	case len(frames)-1 > FramesMax:
		return o, fail(ErrLimit, 1+FramesMax, 0, "an MDP request of more than 1024 frames")
	case why != "":
		return o, fail(ErrField, 0, len(zprotoHead)+1, why)
	}
	m.Command, m.Number, m.Service, m.Body = Request, 1, service, frames[1:len(frames):len(frames)]
	m.Flags, m.Stream.Grant = Partial, mdpWindow
	return o, nil
}

// appendZproto appends an answer in zproto; asked is the first frame of the request.
func appendZproto(frames [][]byte, buf, asked []byte, m *Message) ([][]byte, []byte) {
	start, command := len(buf), which(m, mdpClientPartial, mdpClientFinal)[0]
	buf = append(buf, asked...)
	buf[start+2], buf[start+len(zprotoHead)-1] = command, command
	return append(append(frames, buf[start:len(buf):len(buf)]), m.Body...), buf
}
