package protocol

// validate checks what a command must have, beyond its form, and what it must
// not say of itself.
func validate(d Direction, m *Message) *Error {
	if err := validateFence(d, m); err != nil {
		return err
	}
	if err := validateStream(m); err != nil {
		return err
	}
	switch {
	case m.RemainingMS > DurationMSMax:
		return fail(ErrField, 0, 36, "remaining is 4294967295 ms")
	case d.front() && m.InterestMS > DurationMSMax:
		return fail(ErrField, 0, 52, "interest is 4294967295 ms")
	case d.front():
		return validateFront(m)
	// DISCONNECT stands outside the count, and the broker's may answer what it
	// could not read the link of.
	case m.Link == 0 && (d != BackOut || m.Command != Disconnect):
		return fail(ErrField, 0, 44, "link is 0; links count from 1")
	case m.Seq == 0 && m.Command != Disconnect:
		return fail(ErrField, 0, 48, "seq is 0; messages count from 1")
	}
	return validateBack(m)
}

// validateFence checks the id, the try or attempt, and the attempt's epoch.
func validateFence(d Direction, m *Message) *Error {
	switch m.Command {
	case Request, Reply, Cancel, Accepted, Progress, Credit:
	default:
		return nil
	}
	// The answer to a message that had none of them.
	if d == FrontOut && m.Command == Reply && m.Code == Invalid {
		return nil
	}
	switch {
	case m.ID.IsZero():
		return fail(ErrField, 0, 8, "request id is all zero")
	case m.Number == 0:
		return fail(ErrField, 0, 24, "try or attempt is 0; they count from 1")
	case !d.front() && m.Epoch == 0:
		return fail(ErrField, 0, 28, "the attempt's epoch is 0")
	}
	return nil
}

// validateStream checks what is said of a reply in parts.
func validateStream(m *Message) *Error {
	v := &m.Stream
	switch {
	case m.Command == Request && m.Flags.Has(Partial) && (v.Grant == 0 || v.Grant > WindowMax):
		return fail(ErrField, 0, HeaderBytesMin, "PARTIAL in a REQUEST without a grant of 1 to 1024 parts")
	case m.Command == Reply && m.Flags.Has(Partial) && (v.Run == 0 || v.Part == 0 || m.Code != OK):
		return fail(ErrField, 0, 6, "a part of a reply that is not OK, or has no run or number")
	case m.Command == Credit && v.Run == 0 && (v.Part != 0 || !m.Flags.Has(MaybeSent)):
		return fail(ErrField, 0, HeaderBytesMin, "CREDIT names no run")
	case m.Command == Credit && (v.Grant < v.Part || v.Grant-v.Part > WindowMax):
		return fail(ErrField, 0, HeaderBytesMin, "CREDIT for less than has come, or for over 1024 parts more")
	}
	return nil
}

func validateFront(m *Message) *Error {
	switch m.Command {
	case Request, Cancel, Credit:
		switch {
		case m.Instance == 0:
			return fail(ErrField, 0, 44, "instance is 0")
		case m.Command == Request && m.Code > PriorityLow:
			return fail(ErrField, 0, 5, "unknown priority")
		case m.Command == Request && m.Number > 1 && !m.Flags.Has(MaybeSent):
			return fail(ErrField, 0, 6, "a try above 1 without MAYBE_SENT")
		}
	case Reply:
		switch {
		case !m.Code.Outcome():
			return fail(ErrField, 0, 5, m.Code.String()+" is no outcome for a client")
		case !m.Code.Admits(m.Flags.Certainty()):
			return fail(ErrField, 0, 6, "certainty "+m.Flags.Certainty().String()+" does not go with "+m.Code.String())
		}
	case Pong:
		switch {
		case m.Epoch == 0:
			return fail(ErrField, 0, 28, "the broker's epoch is 0")
		case m.Limits == nil:
			return fail(ErrField, 0, HeaderBytesMin, "PONG without limits")
		}
	}
	return nil
}

func validateBack(m *Message) *Error {
	switch m.Command {
	case Reply:
		switch {
		case !m.Code.fromWorker():
			return fail(ErrField, 0, 5, m.Code.String()+" is no code for a worker's REPLY")
		}
	case Cancel, Disconnect:
		if _, ok := reasonNames[m.Command][m.Code]; !ok {
			return fail(ErrField, 0, 5, "unknown reason of a "+m.Command.String())
		}
	case Ready:
		switch {
		case m.Instance == 0:
			return fail(ErrField, 0, HeaderBytesMin, "READY without an instance")
		case m.Seq != m.Part+1:
			return fail(ErrField, 0, 48, "seq of a READY is not its part + 1")
		}
	case Welcome:
		switch {
		case m.Epoch == 0:
			return fail(ErrField, 0, 28, "the broker's epoch is 0")
		case m.Seq != 1:
			return fail(ErrField, 0, 48, "seq of a WELCOME is not 1")
		case m.Intervals == nil || m.Limits == nil:
			return fail(ErrField, 0, HeaderBytesMin, "WELCOME without intervals or limits")
		}
	}
	return nil
}
