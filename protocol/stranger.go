package protocol

// isBare reports whether frames are the request of a DEALER that does not send the
// empty frame, as the client of the guide's asyncsrv: one frame, which is nothing
// else. It is answered without one.
func isBare(frames [][]byte, speaks Dialects) bool {
	return speaks.Has(Plain) && len(frames) == 1 && len(frames[0]) > 0 && !(speaks.Has(PRV1) && Sniff(frames[0])) && !isPirate(frames) &&
		!(speaks.mdp() && isZproto(frames[0]))
}

// isZproto reports whether frame is meant as Majordomo in zproto: signature, a
// message, and MDP with a version.
func isZproto(frame []byte) bool {
	return len(frame) > 7 && string(frame[:2]) == zprotoHead[:2] && string(frame[3:7]) == zprotoHead[3:7]
}

// isPirate reports whether frames are a message of a worker without a header.
func isPirate(frames [][]byte) bool {
	var m Message
	return ParsePPP(frames, &m)
}

// stranger says who may have sent what is of no dialect, and what to do.
func stranger(at Port, frames [][]byte) string {
	switch {
	case isZproto(frames[0]):
		return "a message of zproto that is no request of Majordomo 0.2: is this a worker of zeromq/majordomo? " +
			"Those are not served; use one of MDP 0.1 or 0.2 that sends frames"
	case at == BackPort:
		return "a message to the backend is no worker's (PRV1, PPP or MDP): is this a client? Clients connect to the frontend"
	case isPirate(frames):
		return "a message of a Paranoid Pirate worker to the frontend: workers connect to the backend"
	case Sniff(frames[0]):
		return "a PRV1 message to the frontend without the empty frame before it: a client on a DEALER sends one; workers connect to the backend"
	}
	return "a message to the frontend has no empty delimiter frame: a client on a DEALER sends one before a request of several frames. " +
		"Or is this a worker? Workers connect to the backend"
}
