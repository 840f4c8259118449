package protocol

// An ErrorKind says what sort of mistake a peer made. It is the label under
// which the mistake is counted.
type ErrorKind uint8

// The kinds.
const (
	ErrFraming   ErrorKind = iota + 1 // envelope or frame count
	ErrTruncated                      // a frame is shorter than it says
	ErrVersion                        // PRV, but a version unknown here
	ErrCommand                        // unknown, or not legal in this direction
	ErrField                          // a field has a value it must not have
	ErrLimit                          // over a limit
)

func (k ErrorKind) String() string {
	switch k {
	case ErrFraming:
		return "framing"
	case ErrTruncated:
		return "truncated"
	case ErrVersion:
		return "version"
	case ErrCommand:
		return "command"
	case ErrField:
		return "field"
	case ErrLimit:
		return "limit"
	}
	return "unknown"
}

// An Error is a message that could not be taken, by the peer's fault: in
// which frame (0 is the header), at which byte, and why.
type Error struct {
	Kind   ErrorKind
	Frame  int
	Offset int
	Reason string
}

func (e *Error) Error() string {
	return "frame " + itoa(e.Frame) + ", byte " + itoa(e.Offset) + ": " + e.Reason
}

func fail(kind ErrorKind, frame, offset int, reason string) *Error {
	return &Error{Kind: kind, Frame: frame, Offset: offset, Reason: reason}
}
